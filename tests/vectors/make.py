#!/usr/bin/env python3
"""Makes signatures.json: deliveries with the answer that a verifier must give.

It signs with Python's hashlib, hmac and the package `cryptography`, not with the service's own code. All keys are
made up for this file and used nowhere else; nothing is random, so the same file comes out every time:

    pip install cryptography
    python3 tests/vectors/make.py > tests/vectors/signatures.json
"""

import base64
import hashlib
import hmac
import json

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

NOW = 1772446500  # 2026-03-02T10:15:00Z
URL = "https://billing.example/webhooks/support"
BODY = '{"id":"evt_1","case":"T-71","note":"Grüße, 東京 ✓"}'

RSA_KEY = serialization.load_pem_private_key(b"""\
-----BEGIN RSA PRIVATE KEY-----
MIIEowIBAAKCAQEAqXZRqHoZnskUdEjfP+csyqL1ZBSzte56kt0e5U1mxDi5IITs
wjr1h061KE7ASkt3hKGHSbI6u4De9FDwGtGl+x4wNxZW7s50B2iylau7sO7BiHtz
3RfOAiFFNWS6SjR4Vx/zrLFB8SlwFmfN7V+5bSHjo7xN5hMkLsg5QLKu4QtdoZpH
55rwHPwX/16sNZ+u0VNx17N8mM3LnQvYVIKvyY3Li4gMbZCSqUS6x51jsGPWIm2M
uxkewb1zY3yFvj34oxmQHiihlZf8teOCHCNC7bFFH7+wFurGT9r/J3WducMnz3EE
VjT6C1asO/b9g7jUSh7ZJNbw/yHp4iieYhV+AQIDAQABAoIBAACxw4GGLpxL1Ywq
0fFEV5Azvyo/AYwZzlO8XJek6HrMUadDuORbPaiWsjNGS0jKci6QP+6FMKD/W5EW
F/Iv+2NlOJ/1knf3g7f7dq+DaMutkfUTMZtQxpXO+Du2tMbkW/T7FAsRuH1u+7U+
kI6Z5C3sOveE/bLAK5J/RYZ6oa2ZZn2qwjSq89/1TyhXblv5wyllAfEgdu/gRl3K
NMd6BRmLoViTmscSZARUvpNBtbrW83f42fRt2U6KltjcoJpwCP9EIjzqThvdjOiA
2T1opAQGXoDDMrA2POzLm0/p40xCa9Hf/cqLDOfza5XUPQVq2p5Y5GlAtynFCcW8
auHvZoUCgYEA3r4iLbKzwuj/O76saLjdvStEvLo8DbqBsFAeEhgC3EChI2U1hw1m
P8NpHS7IGICGkPsfiHWP5XPbBnZfP0+Hx8slr+6z8FbTvOxPJWk4FvOM0I68ZTAE
cgIa3r4+rthBthMwY40NjBBrLcozHmV1zd6SzXrjOVgfVdtqumTDpV0CgYEAwsOm
kWnARv8G8uogJWnO4lBQcc4GBdv/0ggFfFQ96mZ6gB9OKyV5vzVUjvLGdRDkt/gs
LXKeiiBkDnNvlZQq1C3mCXW+ecehmlERZUvA9o64ZVXFxemwdE4GnbyKTxoKsNQG
uPnfq4CmPHwpqVdextKTwvpm/HfVB+tOeB8ZbPUCgYBXrVX80PvrfBWDqfFpo2M9
JDwBYfljmgeUpGTB0IvHsPT83sjsKT0XWk8U+qYu5uCRTxhBea0zr6AGci/Z1u9m
mLN0Biz0LOlZ01bwLfOzLRk/uv+zgOwvCF8VUKOR5XQwPGtutEYh3RCjTJVEoMF3
UOZOVdH9b4+eFylyx1kvzQKBgQC5Vaz/2v4ZkT1vktOcRp+URJEIeuDIWp2JpBB0
S0XP9EzF9wRPko3UIk+g5+1qIPVFC2gep1+uWTxddAPO9vv6hOLORblH8WwaiOJg
3kF1XkKiS4iz2LkNM+Kf33ZN554cvubWxxDNBtMp441Rk86grGnntJijzvRtYMF/
FTkAsQKBgD3kSRF0SilCeNSFK3YicuSytyJkDGU5+59UfkPgxPOWBLFYTq+8zjIs
nW0Dp+XD9xO8AWQHxt56bH+E50ERNVs4UGmQt8GCtx5rGRRhR6bLn3hYCmLHnZzJ
XNrpmAyb25lsSMbIeR6bxlS7qGRl/K28HhrNSS3vj2Y5kONj8LXw
-----END RSA PRIVATE KEY-----
""", password=None)
ED_KEY = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"verdict test vectors, ed25519").digest())

WHSEC_BYTES = hashlib.sha256(b"verdict test vectors, whsec").digest()
WHSEC = "whsec_" + base64.b64encode(WHSEC_BYTES).decode()
OTHER_WHSEC = "whsec_" + base64.b64encode(hashlib.sha256(b"another").digest()).decode()
TEXT = "a secret of the vectors, 2026"
OTHER_TEXT = "another secret, of nobody"

vectors = []


def b64(data):
    return base64.b64encode(data).decode()


def mac(hash_name, key, message):
    return hmac.new(key, message, getattr(hashlib, hash_name)).digest()


def add(name, scheme, secrets, headers, expect, why="", body=BODY, now=NOW, tolerance=300, method="POST", url=URL):
    vectors.append({
        "id": name, "scheme": scheme, "secrets": secrets, "method": method, "url": url, "headers": headers,
        "body": body, "now": now, "tolerance_s": tolerance, "expect": expect, "why": why,
        "provenance": "own", "source": "tests/vectors/make.py",
    })


def public_pem(key, form):
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


# Standard Webhooks, under both sets of names.
for scheme, names in (("standard-webhooks", "webhook"), ("svix", "svix")):
    def headers(signature, ident="msg_71", ts=str(NOW), names=names):
        return {f"{names}-id": ident, f"{names}-timestamp": ts, f"{names}-signature": signature}

    def sign(ident="msg_71", ts=str(NOW), body=BODY, key=WHSEC_BYTES):
        return "v1," + b64(mac("sha256", key, f"{ident}.{ts}.{body}".encode()))

    add(f"{scheme}-valid", scheme, [WHSEC], headers(sign()), "valid")
    add(f"{scheme}-second-secret", scheme, [OTHER_WHSEC, WHSEC], headers(sign()), "valid", "all secrets are tried")
    add(f"{scheme}-among-unreadable", scheme, [WHSEC], headers("v1,%%% v2,AAAA v1a,AAAA " + sign()), "valid")
    add(f"{scheme}-tampered", scheme, [WHSEC], headers(sign()), "invalid", "another body", body=BODY + " ")
    add(f"{scheme}-other-id", scheme, [WHSEC], headers(sign(), ident="msg_72"), "invalid", "the id is signed")
    add(f"{scheme}-stale", scheme, [WHSEC], headers(sign()), "invalid", "301 s old", now=NOW + 301)
    add(f"{scheme}-edge", scheme, [WHSEC], headers(sign()), "valid", "300 s old", now=NOW + 300)
    add(f"{scheme}-early", scheme, [WHSEC], headers(sign()), "invalid", "301 s ahead", now=NOW - 301)
    add(f"{scheme}-signed-time", scheme, [WHSEC], headers(sign(ts=f"+{NOW}"), ts=f"+{NOW}"), "invalid",
        "well signed, but the time is not plain digits")
    add(f"{scheme}-eleventh", scheme, [WHSEC], headers("v1,AAAA " * 10 + sign()), "invalid",
        "no more than ten signatures are tried")
    add(f"{scheme}-short-secret", scheme, ["whsec_" + b64(b"short")], headers(sign(key=b"short")), "invalid",
        "a key of 5 bytes is refused")
    add(f"{scheme}-comma", scheme, [WHSEC], headers(sign().replace("v1,", "v1=")), "invalid", "malformed")


def ed_headers(signature, ident="msg_71", ts=str(NOW)):
    return {"webhook-id": ident, "webhook-timestamp": ts, "webhook-signature": signature}


ED_PUBLIC = ED_KEY.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
ED_SIGNATURE = "v1a," + b64(ED_KEY.sign(f"msg_71.{NOW}.{BODY}".encode()))
WHPK = "whpk_" + b64(ED_PUBLIC)
add("v1a-valid", "standard-webhooks-v1a", [WHPK], ed_headers(ED_SIGNATURE), "valid")
add("v1a-no-prefix", "standard-webhooks-v1a", [b64(ED_PUBLIC)], ed_headers(ED_SIGNATURE), "valid")
add("v1a-tampered", "standard-webhooks-v1a", [WHPK], ed_headers(ED_SIGNATURE), "invalid", body=BODY[:-1] + " }")
add("v1a-stale", "standard-webhooks-v1a", [WHPK], ed_headers(ED_SIGNATURE), "invalid", now=NOW + 301)
add("v1a-as-v1", "standard-webhooks-v1a", [WHPK], ed_headers(ED_SIGNATURE.replace("v1a,", "v1,")), "invalid",
    "another version")
add("v1a-short", "standard-webhooks-v1a", [WHPK], ed_headers("v1a," + b64(b"x" * 63)), "invalid", "63 bytes")
add("v1a-weak-key", "standard-webhooks-v1a", ["whpk_" + b64(bytes([1]) + bytes(31))],
    ed_headers("v1a," + b64(bytes([1]) + bytes(63))), "invalid", "a key of small order fits any message")

# HMAC over the body alone.
for scheme, hash_name, header, prefix, form in (
    ("github", "sha256", "X-Hub-Signature-256", "sha256=", "hex"),
    ("bitbucket", "sha256", "X-Hub-Signature", "sha256=", "hex"),
    ("intercom", "sha1", "X-Hub-Signature", "sha1=", "hex"),
    ("intercom-fin", "sha256", "X-Fin-Agent-API-Webhook-Signature", "sha256=", "hex"),
    ("front-rule", "sha1", "X-Front-Signature", "", "base64"),
    ("helpscout", "sha1", "X-HelpScout-Signature", "", "base64"),
):
    tag = mac(hash_name, TEXT.encode(), BODY.encode())
    written = prefix + (tag.hex() if form == "hex" else b64(tag))
    add(f"{scheme}-valid", scheme, [TEXT], {header: written}, "valid", now=None)
    add(f"{scheme}-lower-case-name", scheme, [OTHER_TEXT, TEXT], {header.lower(): written}, "valid", now=None)
    add(f"{scheme}-tampered", scheme, [TEXT], {header: written}, "invalid", now=None, body=BODY.replace("71", "72"))
    add(f"{scheme}-other-secret", scheme, [OTHER_TEXT], {header: written}, "invalid", now=None)
    add(f"{scheme}-cut", scheme, [TEXT], {header: written[:-4]}, "invalid", "malformed", now=None)
    add(f"{scheme}-missing", scheme, [TEXT], {}, "invalid", "no header", now=None)
    if prefix:
        bare = "valid" if scheme == "intercom-fin" else "invalid"
        add(f"{scheme}-bare", scheme, [TEXT], {header: tag.hex()}, bare, "without the prefix", now=None)
        add(f"{scheme}-upper-case", scheme, [TEXT], {header: prefix + tag.hex().upper()}, "valid", now=None)

# HMAC over a time and the body.
for scheme, header, ts_header, ts, template, prefix, form in (
    ("slack", "X-Slack-Signature", "X-Slack-Request-Timestamp", str(NOW), "v0:{ts}:{body}", "v0=", "hex"),
    ("zendesk", "X-Zendesk-Webhook-Signature", "X-Zendesk-Webhook-Signature-Timestamp", "2026-03-02T10:15:00Z",
     "{ts}{body}", "", "base64"),
    ("hubspot-v3", "X-HubSpot-Signature-v3", "X-HubSpot-Request-Timestamp", f"{NOW}000", "POST{url}{body}{ts}", "",
     "base64"),
    ("front-app", "X-Front-Signature", "X-Front-Request-Timestamp", f"{NOW}000", "{ts}:{body}", "", "base64"),
    ("chatwoot", "X-Chatwoot-Signature", "X-Chatwoot-Timestamp", str(NOW), "{ts}.{body}", "sha256=", "hex"),
):
    def sign(body=BODY, ts=ts, template=template, prefix=prefix, form=form):
        message = template.replace("{ts}", ts).replace("{url}", URL).replace("{body}", body)
        tag = mac("sha256", TEXT.encode(), message.encode())
        return prefix + (tag.hex() if form == "hex" else b64(tag))

    add(f"{scheme}-valid", scheme, [TEXT], {header: sign(), ts_header: ts}, "valid")
    add(f"{scheme}-edge", scheme, [TEXT], {header: sign(), ts_header: ts}, "valid", "300 s ahead", now=NOW - 300)
    add(f"{scheme}-empty-body", scheme, [TEXT], {header: sign(body=""), ts_header: ts}, "valid", body="")
    add(f"{scheme}-tampered", scheme, [TEXT], {header: sign(), ts_header: ts}, "invalid", body=BODY + "\n")
    add(f"{scheme}-stale", scheme, [TEXT], {header: sign(), ts_header: ts}, "invalid", now=NOW + 301)
    add(f"{scheme}-no-time", scheme, [TEXT], {header: sign()}, "invalid", "no timestamp")
    odd = " " + ts
    add(f"{scheme}-odd-time", scheme, [TEXT], {header: sign(ts=odd), ts_header: odd}, "invalid",
        "well signed, but the time cannot be read")
    add(f"{scheme}-odd-time-unchecked", scheme, [TEXT], {header: sign(ts=odd), ts_header: odd}, "valid",
        "with the tolerance off it need not be read", tolerance=None)
    add(f"{scheme}-no-time-unchecked", scheme, [TEXT], {header: sign()}, "invalid", "but it must be there",
        tolerance=None)

query = f"POST{URL}?a=1&b=%20{BODY}{NOW}000"
add("hubspot-v3-query", "hubspot-v3", [TEXT], {
    "X-HubSpot-Signature-v3": b64(mac("sha256", TEXT.encode(), query.encode())),
    "X-HubSpot-Request-Timestamp": f"{NOW}000",
}, "valid", "the query of the request is part of the address", url=URL + "?a=1&b=%20")
add("hubspot-v3-method", "hubspot-v3", [TEXT], {
    "X-HubSpot-Signature-v3": b64(mac("sha256", TEXT.encode(), f"POST{URL}{BODY}{NOW}000".encode())),
    "X-HubSpot-Request-Timestamp": f"{NOW}000",
}, "invalid", "the method is signed", method="PUT")

# A list of keys and values.
for scheme, header in (("stripe", "Stripe-Signature"), ("mux", "Mux-Signature")):
    good = mac("sha256", TEXT.encode(), f"{NOW}.{BODY}".encode()).hex()
    bad = "00" * 32
    for name, value, expect, why in (
        ("valid", f"t={NOW},v1={good}", "valid", ""),
        ("two", f"t={NOW},v1={bad},v1={good}", "valid", "any of them"),
        ("unreadable", f"t={NOW},v1=zz,v1={good},v0=zz", "valid", "what cannot be read is skipped"),
        ("two-times", f"t={NOW},v1={good},t={NOW}", "invalid", "two times"),
        ("no-time", f"v1={good}", "invalid", "no time"),
        ("other-time", f"t={NOW + 1},v1={good}", "invalid", "the time is signed"),
        ("other-version", f"t={NOW},v0={good}", "invalid", "another version"),
        ("no-signature", f"t={NOW}", "invalid", "no signature"),
        ("no-pair", f"t={NOW},v1={good},x", "invalid", "malformed"),
    ):
        add(f"{scheme}-{name}", scheme, [TEXT], {header: value}, expect, why)
    add(f"{scheme}-stale", scheme, [TEXT], {header: f"t={NOW},v1={good}"}, "invalid", now=NOW + 301)
    add(f"{scheme}-tampered", scheme, [TEXT], {header: f"t={NOW},v1={good}"}, "invalid", body="{}")

# A plain digest.
digest = hashlib.sha256((TEXT + BODY).encode()).hexdigest()
add("hubspot-v1-valid", "hubspot-v1", [TEXT], {"X-HubSpot-Signature": digest}, "valid", now=None)
add("hubspot-v1-tampered", "hubspot-v1", [TEXT], {"X-HubSpot-Signature": digest}, "invalid", now=None, body="[]")
add("hubspot-v1-hmac", "hubspot-v1", [TEXT],
    {"X-HubSpot-Signature": mac("sha256", TEXT.encode(), BODY.encode()).hex()}, "invalid", "an HMAC", now=None)

# RSA.
rsa_signature = RSA_KEY.sign(BODY.encode(), padding.PKCS1v15(), hashes.SHA256())
spki = public_pem(RSA_KEY, serialization.PublicFormat.SubjectPublicKeyInfo)
pkcs1 = public_pem(RSA_KEY, serialization.PublicFormat.PKCS1)
bare = "".join(spki.splitlines()[1:-1])
for name, pem in (("spki", spki), ("pkcs1", pkcs1), ("bare", bare), ("one-line", spki.replace("\n", "\\n"))):
    add(f"freshchat-{name}", "freshchat", [pem], {"X-Freshchat-Signature": b64(rsa_signature)}, "valid", now=None)
add("freshchat-tampered", "freshchat", [spki], {"X-Freshchat-Signature": b64(rsa_signature)}, "invalid", now=None,
    body=BODY + " ")
add("freshchat-cut", "freshchat", [spki], {"X-Freshchat-Signature": b64(rsa_signature[:-1])}, "invalid", now=None)
add("freshchat-sha1", "freshchat", [spki],
    {"X-Freshchat-Signature": b64(RSA_KEY.sign(BODY.encode(), padding.PKCS1v15(), hashes.SHA1()))}, "invalid",
    "another digest", now=None)
add("freshchat-zeros", "freshchat", [spki], {"X-Freshchat-Signature": b64(bytes(256))}, "invalid", "zeros", now=None)
add("freshchat-no-key", "freshchat", ["-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"],
    {"X-Freshchat-Signature": b64(rsa_signature)}, "invalid", "no key", now=None)

# A token.
add("shared-token-valid", "shared-token", [TEXT], {"X-Outcome-Secret": TEXT}, "valid", now=None)
add("shared-token-second", "shared-token", [OTHER_TEXT, TEXT], {"x-outcome-secret": TEXT}, "valid", now=None)
add("shared-token-other", "shared-token", [TEXT], {"X-Outcome-Secret": TEXT + " "}, "invalid", now=None)
add("shared-token-begin", "shared-token", [TEXT], {"X-Outcome-Secret": TEXT[:-1]}, "invalid", now=None)
add("shared-token-missing", "shared-token", [TEXT], {}, "invalid", now=None)
add("shared-token-empty", "shared-token", [""], {"X-Outcome-Secret": ""}, "invalid", "no secret", now=None)

print("[\n" + ",\n".join(json.dumps(vector, ensure_ascii=False) for vector in vectors) + "\n]")
