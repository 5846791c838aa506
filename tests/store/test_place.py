"""Where a server may live: in a folder that is truly ours."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

import pytest

from pytest_orchestra.errors import StoreUnavailableError
from pytest_orchestra.store.place import choose_place, ensure_own_folder


def mode_of(folder: Path) -> int:
    return stat.S_IMODE(folder.stat().st_mode)


def test_ensure_own_folder_new_has_the_mode_whatever_the_umask(tmp_path: Path):
    """A new folder has exactly the mode that was asked for."""
    before = os.umask(0o077)
    try:
        folder = ensure_own_folder(tmp_path / "new", 0o711)
    finally:
        os.umask(before)
    assert mode_of(folder) == 0o711


def test_ensure_own_folder_existing_gets_the_mode(tmp_path: Path):
    """A folder of ours that is merely too open for reading is closed."""
    (tmp_path / "old").mkdir(mode=0o755)
    assert mode_of(ensure_own_folder(tmp_path / "old", 0o700)) == 0o700


def test_ensure_own_folder_link_is_refused(tmp_path: Path):
    """A link that somebody put there in advance is not followed."""
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreUnavailableError) as caught:
        ensure_own_folder(link, 0o700)
    assert str(caught.value) == f"store: '{link}' is no folder\nhint: remove '{link}'"


def test_ensure_own_folder_writable_by_others_is_refused(tmp_path: Path):
    """A folder in which others could have put something is not trusted."""
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(StoreUnavailableError) as caught:
        ensure_own_folder(folder, 0o700)
    assert str(caught.value) == (
        f"store: folder '{folder}' can be written by others (mode '777')\nhint: remove '{folder}'"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder that belongs to somebody else")
def test_ensure_own_folder_of_another_user_is_refused(tmp_path: Path):
    """A folder of another user is not trusted, whatever its mode."""
    folder = tmp_path / "theirs"
    folder.mkdir(mode=0o700)
    nobody = pwd.getpwnam("nobody").pw_uid
    os.chown(folder, nobody, -1)
    with pytest.raises(StoreUnavailableError) as caught:
        ensure_own_folder(folder, 0o700)
    assert str(caught.value) == (
        f"store: folder '{folder}' belongs to user '{nobody}', not to '0'\nhint: remove '{folder}'"
    )


def test_ensure_own_folder_impossible_is_explained(tmp_path: Path):
    """Where no folder can be made, the system's reason is given."""
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "sub"
    with pytest.raises(StoreUnavailableError) as caught:
        ensure_own_folder(folder, 0o700)
    assert str(caught.value) == (
        f"store: folder '{folder}' cannot be made: Not a directory\n"
        "hint: choose another cache folder, or --orchestra-store=memory"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's server always lives in the shared folder")
def test_choose_place_as_root_is_passable_and_stable(tmp_path: Path):
    """Root's server lies below folders that its user may pass, at the same place every time, one for each folder."""
    shared = tmp_path / "shared"
    shared.mkdir()
    place = choose_place(tmp_path / "a", shared=shared)
    assert place.folder.parent == place.base == shared / "pytest-orchestra-0"
    assert mode_of(place.folder) == mode_of(place.folder.parent) == 0o711
    assert place.user is not None
    assert place.user.name == "nobody"
    assert choose_place(tmp_path / "a", shared=shared) == place
    assert choose_place(tmp_path / "b", shared=shared).folder != place.folder


@pytest.mark.skipif(os.geteuid() == 0, reason="root's server never lives in the folder itself")
def test_choose_place_as_ordinary_user_is_the_folder(tmp_path: Path):
    """An ordinary user's server lies in the folder that was asked for."""
    place = choose_place(tmp_path / "cache", shared=tmp_path)
    assert place.folder == tmp_path / "cache"
    assert mode_of(place.folder) == 0o700
    assert place.user is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root's server never lives in the folder itself")
def test_choose_place_of_too_long_a_path_is_elsewhere(tmp_path: Path):
    """A path that PostgreSQL could not use is replaced by a short one."""
    long = tmp_path.joinpath(*["x" * 200] * 5)
    place = choose_place(long, shared=tmp_path)
    assert place.folder.parent == tmp_path / f"pytest-orchestra-{os.geteuid()}"
