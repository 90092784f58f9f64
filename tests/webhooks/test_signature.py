"""The signature is the only thing between a stranger and our inbox."""

import base64
import hashlib
import hmac

import pytest

from webhooks.signature import sign, valid

KEY = "sandbox-webhook-key"
BODY = b'{"events":[],"firstEventSequence":0,"lastEventSequence":0,"entropy":"FMLHZNKCVK"}'
# echo -n "$BODY" | openssl dgst -sha256 -hmac "$KEY" -binary | base64
GOOD = "q6tJv6y5U4EqdoyAVh+MsgYXH6JmVDU9rbweHeGNFBE="


def test_the_signature_is_base64_of_hmac_sha256_over_the_raw_bytes():
    assert sign(BODY, KEY) == GOOD
    assert sign(BODY, KEY) == base64.b64encode(hmac.new(KEY.encode(), BODY, hashlib.sha256).digest()).decode()


def test_exactly_these_bytes_and_this_key_are_accepted():
    assert valid(BODY, GOOD, KEY)
    assert valid(BODY, f" {GOOD}\n", KEY)
    assert not valid(BODY + b" ", GOOD, KEY)
    assert not valid(BODY.replace(b",", b", "), GOOD, KEY)
    assert not valid(BODY, GOOD, "another key")


@pytest.mark.parametrize("given", ["", "x", "é", GOOD[:-2], GOOD.lower(), f"sha256={GOOD}"])
def test_anything_else_is_refused(given: str):
    assert not valid(BODY, given, KEY)


def test_no_key_means_no_entry():
    assert not valid(BODY, sign(BODY, ""), "")
