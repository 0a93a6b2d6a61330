"""The header of an instance: read at a glance from what tablets send, from a tree when it is anything else."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forms import xml
from forms.errors import InstanceError
from forms.header import Header, header_of, read_header

USUAL = """<?xml version='1.0' encoding='UTF-8' ?>
<data id="f" version="1" xmlns:orx="http://openrosa.org/xforms" xmlns:e="urn:e"><!-- a --><head>زهرا &amp; علی</head>
<g><meta><instanceID>uuid:inner</instanceID></meta><r><s/></r></g>
<orx:meta><e:entity dataset="p" id="1"><e:label>x</e:label></e:entity><orx:instanceID> uuid:<!-- b -->1 </orx:instanceID>
<orx:deprecatedID>uuid:0</orx:deprecatedID><orx:instanceName>n</orx:instanceName></orx:meta>
</data>""".encode()
PIECES = re.findall(rb"<[^>]*>|[^<]+", USUAL)
ODD = (
    b"<meta>",
    b"</meta>",
    b"<meta/>",
    b"<orx:meta/>",
    b"<metadata>",
    b"<![CDATA[<meta>]]>",
    b"<!-- <meta> -->",
    b"<!DOCTYPE data>",
    b"<!DOCTYPE data [<!ENTITY a 'b'>]>",
    b"&a;",
    b"&#0;",
    b"<?x y?>",
    b"<?xml version='1.0' encoding='latin-1'?>",
    b"<u:x/>",
    b"<x a='1' a='2'/>",
    b"\xff",
    b"\x00",
    b"\xef\xbb\xbf",
    b"<x>" * 300 + b"</x>" * 300,
    b"</data>",
)
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["drop", "twice", "put", "swap"]),
        st.integers(0, len(PIECES) - 1),
        st.sampled_from(ODD + tuple(PIECES)),
    ),
    max_size=4,
)


def said_by(read, data):
    try:
        return read(data)
    except InstanceError as error:
        return str(error)


def edited(edits) -> bytes:
    pieces = list(PIECES)
    for deed, at, odd in edits:
        at %= len(pieces)
        match deed:
            case "drop":
                pieces[at : at + 1] = [b""]
            case "twice":
                pieces.insert(at, pieces[at])
            case "put":
                pieces.insert(at, odd)
            case "swap":
                pieces[at], pieces[-at] = pieces[-at], pieces[at]
    return b"".join(pieces)


def test_what_tablets_send_is_read_without_a_tree(monkeypatch):
    monkeypatch.delattr(xml, "parse")
    assert read_header(re.sub(rb"<!--.*?-->", b"", USUAL)) == Header("f", "1", "uuid:1", "uuid:0")


@settings(max_examples=600, deadline=None)
@given(EDITS)
def test_a_glance_says_what_the_tree_says(edits):
    data = edited(edits)
    assert said_by(read_header, data) == said_by(lambda data: header_of(xml.parse(data)), data)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<data ", b"<!DOCTYPE data><data "),
        (b"UTF-8", b"KOI8-R"),
        (b"<orx:instanceID>", b"<orx:meta/><orx:instanceID>"),
        (b"</orx:meta>", b"<orx:meta a='1'/></orx:meta>"),
        (b"</orx:meta>", b"</orx:meta><meta/>"),
        (b"</orx:meta>", b"</orx:meta><other/>"),
        (b"<r>", b"<x>" * 200 + b"</x>" * 200 + b"<r>"),
        (b"<r>", b"<x>" * 300 + b"</x>" * 300 + b"<r>"),
        (b"<r>", b"<x/>" * (xml.ELEMENTS_MAX + 1) + b"<r>"),
        (b'id="f"', b""),
        (b'id="f"', b'xmlns="urn:f"'),
    ],
)
def test_a_glance_says_what_the_tree_says_of_what_is_unusual(old, new):
    data = USUAL.replace(old, new, 1)
    assert data != USUAL
    assert said_by(read_header, data) == said_by(lambda data: header_of(xml.parse(data)), data)


@pytest.mark.parametrize("depth", range(240, 260))
def test_a_glance_refuses_what_is_nested_as_deep_as_a_tree_may_not_be(depth):
    data = re.sub(rb"<!--.*?-->", b"", USUAL).replace(b"<s/>", b"<x>" * depth + b"<x/>" + b"</x>" * depth)
    assert said_by(read_header, data) == said_by(lambda data: header_of(xml.parse(data)), data)


@pytest.mark.parametrize("size", [1, xml.USUAL_BYTES_MAX // 4])
def test_long_instances_and_short_ones_have_the_same_header(size):
    data = USUAL.replace(b"<s/>", b"<s/>" * size)
    assert read_header(data) == Header("f", "1", "uuid:1", "uuid:0")


def test_meta_is_found_whatever_its_prefix():
    body = "<orx:meta><orx:instanceID> uuid:1 </orx:instanceID><deprecatedID>uuid:0</deprecatedID></orx:meta>"
    assert read_header(
        f'<data id="f" version="1" xmlns:orx="http://openrosa.org/xforms">{body}</data>'.encode()
    ) == Header("f", "1", "uuid:1", "uuid:0")


def test_an_encrypted_envelope_has_a_header_too():
    sealed = (
        b'<data xmlns="http://www.opendatakit.org/xforms/encrypted" encrypted="yes" id="f" version="1">'
        b'<base64EncryptedKey>x</base64EncryptedKey><orx:meta xmlns:orx="http://openrosa.org/xforms">'
        b"<orx:instanceID>uuid:1</orx:instanceID></orx:meta></data>"
    )
    assert read_header(sealed) == Header("f", "1", "uuid:1", None, encrypted=True)


@pytest.mark.parametrize("data", [b"", b"<a", b"<a/>", b"\xff\xfe", b"<!DOCTYPE a><a id='f'/>", b'{"a": 1}'])
def test_what_is_no_instance_is_refused_with_a_sentence(data):
    with pytest.raises(InstanceError):
        read_header(data)
