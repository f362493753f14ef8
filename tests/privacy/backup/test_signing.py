"""Signatures: the examples that Amazon publishes, to the last digit."""

from hashlib import sha256

import pytest

from webmail.privacy.backup.s3.signing import NOTHING, Credentials, authorization, encoded, query_text

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
S3 = Credentials("AKIAIOSFODNN7EXAMPLE", SECRET)
HOST, DATE = "examplebucket.s3.amazonaws.com", "20130524T000000Z"


def signature(who, *request):
    return authorization(who, *request).rpartition("Signature=")[2]


def test_a_plain_get_of_the_suite_of_test_vectors():
    """aws-sig-v4-test-suite: get-vanilla."""
    who = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "us-east-1", "service")
    headers = {"Host": "example.amazonaws.com", "X-Amz-Date": "20150830T123600Z"}
    assert authorization(who, "GET", "/", (), headers, NOTHING) == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date,"
        " Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    )


@pytest.mark.parametrize(
    ("method", "path", "query", "more", "body", "expected"),
    [
        ("GET", "/test.txt", (), {"Range": "bytes=0-9"}, b"", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
        ("PUT", "/test$file.text", (), {"Date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
         b"Welcome to Amazon S3.", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
        ("GET", "/", (("lifecycle", ""),), {}, b"", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ("GET", "/", (("max-keys", "2"), ("prefix", "J")), {}, b"", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ],
)  # fmt: skip
def test_the_examples_in_the_documentation_of_s3(method, path, query, more, body, expected):
    body_hash = sha256(body).hexdigest()
    headers = {"Host": HOST, "x-amz-date": DATE, "x-amz-content-sha256": body_hash} | more
    assert signature(S3, method, path, query, headers, body_hash) == expected


def test_every_part_of_a_request_is_signed():
    headers = {"host": HOST, "x-amz-date": DATE}
    plain = signature(S3, "GET", "/a", (), headers, NOTHING)
    others = [
        signature(S3, "PUT", "/a", (), headers, NOTHING),
        signature(S3, "GET", "/b", (), headers, NOTHING),
        signature(S3, "GET", "/a", (("uploads", ""),), headers, NOTHING),
        signature(S3, "GET", "/a", (), headers | {"host": "evil.example"}, NOTHING),
        signature(S3, "GET", "/a", (), headers | {"x-amz-date": "20130525T000000Z"}, NOTHING),
        signature(S3, "GET", "/a", (), headers, sha256(b"x").hexdigest()),
        signature(Credentials(S3.key_id, SECRET, "eu-north-1"), "GET", "/a", (), headers, NOTHING),
    ]
    assert len({plain, *others}) == 8


def test_names_are_encoded_as_the_signature_wants_them():
    assert encoded("a/b c~ü+", slashes=True) == "a/b%20c~%C3%BC%2B"
    assert encoded("a/b") == "a%2Fb"
    assert query_text([("a-b", "1"), ("a", "2")]) == "a=2&a-b=1"
    assert query_text([("uploads", ""), ("prefix", "a/b"), ("a b", "=")]) == "a%20b=%3D&prefix=a%2Fb&uploads="


def test_a_secret_is_not_in_what_is_printed_of_it():
    assert SECRET not in repr(S3)
