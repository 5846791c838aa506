"""A card gateway in sandbox mode: the token says what will happen, as with every payment provider's test cards."""

from __future__ import annotations

from shop.payments.models import PaymentStatus

_DECLINES = {"tok_declined_once": 1, "tok_declined_twice": 2, "tok_declined": 3}
_SILENT = "tok_silent"


def answer(card_token: str, attempt: int) -> PaymentStatus | None:
    """Give the gateway's answer to the attempt (the first is 1); None for a gateway that never answers."""
    if card_token == _SILENT:
        return None
    is_declined = attempt <= _DECLINES.get(card_token, 0)
    return PaymentStatus.DECLINED if is_declined else PaymentStatus.CAPTURED
