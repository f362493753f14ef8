"""Nothing that is not on the public internet is connected to, however its address is written."""

import json
import re
from ipaddress import ip_address

import pytest

from webmail.remote import PUBLIC, Client, Reach
from webmail.remote.reach import is_public

PRIVATE = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::a00:1",
    "100::1",
    "100:0:0:1::1",
    "2001::1",
    "2001:0:53aa:64c:0:0:80ff:fffe",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "2606:4700::1%1",
]
PUBLIC_ONES = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.1",
    "20.0.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "172.15.0.1",
    "172.32.0.1",
    "2001:470:0:76::2",
    "2606:4700::1111",
    "2a00:1450::1",
]


@pytest.mark.parametrize("text", PRIVATE)
def test_what_is_not_the_public_internet_is_not_reached(text):
    assert not is_public(ip_address(text))
    assert not PUBLIC.address(ip_address(text), 80)


@pytest.mark.parametrize("text", PUBLIC_ONES)
def test_the_public_internet_is_reached_at_the_webs_ports_alone(text):
    address = ip_address(text)
    assert [port for port in range(65536) if PUBLIC.address(address, port)] == [80, 443, 8080, 8443]


def test_a_loopback_port_opens_that_port_of_this_machine_and_nothing_else():
    reach = Reach(frozenset({5001}))
    assert reach.address(ip_address("127.0.0.1"), 5001)
    assert reach.address(ip_address("::1"), 5001)
    assert not reach.address(ip_address("127.0.0.1"), 80)
    assert not reach.address(ip_address("10.0.0.1"), 5001)
    assert not reach.address(ip_address("1.1.1.1"), 5001)
    assert not PUBLIC.port(5001)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://2130706433/", "private"),
        ("http://0x7f000001/", "private"),
        ("http://0x7f.1/", "private"),
        ("http://0177.0.0.1/", "private"),
        ("http://017700000001/", "private"),
        ("http://127.1/", "private"),
        ("http://127.0.0.1./", "private"),
        ("http://0/", "private"),
        ("http://１２７.０.０.１/", "private"),
        ("http://127。0。0。1/", "private"),
        ("http://127%2e0%2e0%2e1/", "private"),
        ("http://169.254.169.254/latest/meta-data/", "private"),
        ("http://[::ffff:7f00:1]/", "private"),
        ("http://[::1]/", "private"),
        ("http://[fe80::1%25eth0]/", "url"),
        ("http://localhost/", "name"),
        ("http://localhost./", "name"),
        ("http://ⓛocalhost/", "name"),
        ("http://postgres/", "name"),
        ("http://ann@pictures.example/", "url"),
        ("http://ann:secret@pictures.example/", "url"),
        ("http://pictures.example@127.0.0.1/", "url"),
        ("http://127.0.0.1\\@pictures.example/", "private"),
        ("http://pictures.example:22/", "port"),
        ("http://pictures.example:25/", "port"),
        ("http://pictures.example:0/", "port"),
        ("http://pictures.example:65536/", "url"),
        ("http://256.1.1.1/", "url"),
        ("http:///", "url"),
        ("ftp://pictures.example/", "url"),
        ("file:///etc/passwd", "url"),
        ("gopher://pictures.example:80/_x", "url"),
        ("data:image/png;base64,AAAA", "url"),
        ("//pictures.example/", "url"),
        ("/relative", "url"),
        ("mailto:ann@pictures.example", "url"),
        ("", "url"),
        ("http://a b/", "url"),
        ("http://pictures.example\r\nHost: inner/", "url"),
    ],
)
def test_addresses_that_lead_inwards_or_nowhere_open_no_connection(url, expected, names, sockets, code):
    assert code(Client(names=names).get(url)) == expected
    assert code(Client(names=names).post_form(url.replace("http:", "https:", 1), {"a": "b"})) == expected
    assert sockets == []


def test_hosts_of_ones_own_network_are_not_even_looked_up(names, sockets, code):
    for host in ("localhost", "postgres", "web"):
        names.table[host] = [["93.184.215.14"]]
        assert code(Client(names=names).get(f"http://{host}./")) == "name"
    assert (names.asked, sockets) == ([], [])


def test_names_are_looked_up_without_their_last_dot_and_as_ascii(names, sockets):
    names.table |= {"xn--bcher-kva.example": [["1.2.3.4"]], "plain.example": [["1.2.3.5"]]}
    Client(names=names).get("http://BÜCHER。example./p.png")
    Client(names=names).get("https://PLAIN.example.:8443/p.png")
    assert names.asked == ["xn--bcher-kva.example", "plain.example"]
    assert sockets == [("1.2.3.4", 80), ("1.2.3.5", 8443)]


@pytest.mark.parametrize(
    "answers",
    [
        ["10.0.0.1"],
        ["1.2.3.4", "10.0.0.1"],
        ["10.0.0.1", "1.2.3.4"],
        ["1.2.3.4", "::1"],
        ["2606:4700::1", "192.168.1.1"],
        ["1.2.3.4", "fd00::1"],
    ],
)
def test_one_address_that_is_private_spoils_a_name(answers, names, sockets, code):
    names.table["mixed.example"] = [answers]
    assert code(Client(names=names).get("http://mixed.example/")) == "private"
    assert sockets == []


def test_a_name_is_looked_up_once_and_that_address_is_connected_to(names, sockets, code):
    names.table["rebinding.example"] = [["93.184.215.14"], ["127.0.0.1"]]
    assert code(Client(names=names).get("http://rebinding.example/")) == "connect"
    assert (names.asked, sockets) == (["rebinding.example"], [("93.184.215.14", 80)])
    assert code(Client(names=names).get("http://rebinding.example/")) == "private"
    assert sockets == [("93.184.215.14", 80)]


def test_a_host_of_many_addresses_is_tried_at_three(names, sockets, code):
    names.table["many.example"] = [[f"1.2.3.{number}" for number in range(1, 30)]]
    assert code(Client(names=names).get("http://many.example/")) == "connect"
    assert len(sockets) == 3


def _told(row, names):
    """What name servers would say of the row's host; those of other people are played here."""
    url = row["url"].split(" ")[0]
    host = re.sub(r"^https?://(?:[^@/]*@)?", "", url).split("/")[0].split(":")[0]
    inner = re.match(r"([0-9a-fA-F]{8}|\d+[.-]\d+[.-]\d+[.-]\d+)\.nip\.io", host)
    if inner and re.fullmatch("[0-9a-fA-F]{8}", inner[1]):
        names.table[host.lower()] = [[str(ip_address(int(inner[1], 16)))]]
    elif inner:
        names.table[host.lower()] = [[inner[1].replace("-", ".")]]
    elif row["expect"] == "public" or host in ("example.org", "redirect.example"):
        names.table[host] = [["93.184.215.14"]]
    return url


@pytest.mark.corpora
def test_every_form_that_other_people_found_is_refused(corpora, names, sockets, code):
    """Rows that are hostile only in their reply lead to a public host here: what it may say is in test_client."""
    rows = [json.loads(line) for line in (corpora / "ssrf-urls" / "rows.jsonl").read_text().splitlines()]
    assert len(rows) >= 47
    client, answered_for = Client(names=names), []
    for row in rows:
        url = _told(row, names)
        failed = code(client.get(url))
        before = len(sockets)
        if row["expect"] == "public" or "(" in row["url"] or "redirect.example" in url:
            assert failed == "connect", row
            answered_for.append(row["id"])
        else:
            assert failed in {"url", "port", "private", "name"}, row
        assert len(sockets) == before
    assert len(sockets) == len(answered_for)
    assert all(is_public(ip_address(host)) and port in (80, 443) for host, port in sockets)
