"""Reading XForms: what pyxform makes, what other tools make, and what is none."""

from __future__ import annotations

from importlib.resources import files

import pytest

from forms import xform
from forms.errors import FormError
from forms.schema import Field, FieldType, Flag, FormSchema, Group, Repeat, Text
from forms.xform import SheetMarks

HEAD = """<?xml version="1.0"?>
<h:html xmlns="http://www.w3.org/2002/xforms" xmlns:h="http://www.w3.org/1999/xhtml"
  xmlns:jr="http://openrosa.org/javarosa" xmlns:orx="http://openrosa.org/xforms"
  xmlns:odk="http://www.opendatakit.org/xforms" xmlns:entities="http://www.opendatakit.org/xforms/entities">
<h:head><h:title>Crossing</h:title><model>"""


def write(instance: str, model: str = "", body: str = "") -> bytes:
    """Return an XForm with these children of the root, of the model and of the body."""
    root = f'<instance><data id="crossing" orx:version="7">{instance}</data></instance>'
    return f"{HEAD}{root}{model}</model></h:head><h:body>{body}</h:body></h:html>".encode()


def read(instance: str, model: str = "", body: str = "", marks: SheetMarks = xform.NO_MARKS) -> FormSchema:
    return xform.read(write(instance, model, body), marks)


def field(schema: FormSchema, path: str) -> Field:
    node = schema.by_path[path]
    assert isinstance(node, Field)
    return node


def one_text(schema: FormSchema, path: str) -> Text:
    return dict(field(schema, path).label)


def test_the_form_is_named_by_the_root_of_its_instance() -> None:
    schema = read("<a/>")

    assert (schema.form_id, schema.version, schema.title, schema.root) == (
        "crossing",
        "7",
        "Crossing",
        "data",
    )
    assert (schema.languages, schema.media, schema.encrypted) == (("default",), (), False)


def test_a_node_without_bind_or_control_is_a_string() -> None:
    assert field(read("<a/>"), "/a") == Field(name="a", path="/a")


def test_a_namespace_names_the_form_that_has_no_id() -> None:
    data = write("<a/>").replace(b'<data id="crossing"', b'<data xmlns="http://example.org/f1"')

    assert xform.read(data).form_id == "http://example.org/f1"


@pytest.mark.parametrize(
    ("control", "bind_type", "expected"),
    [
        ("<input ref='/data/a'/>", "string", FieldType.STRING),
        ("<secret ref='/data/a'/>", "string", FieldType.STRING),
        ("<input ref='/data/a'/>", "xsd:integer", FieldType.INT),
        ("<range ref='/data/a' start='0' end='9' step='1'/>", "decimal", FieldType.DECIMAL),
        ("<input ref='/data/a'/>", "dateTime", FieldType.DATETIME),
        ("<input ref='/data/a'/>", "geotrace", FieldType.GEOTRACE),
        ("<input ref='/data/a'/>", "nonsense", FieldType.STRING),
        ("<upload ref='/data/a' mediatype='image/*'/>", "binary", FieldType.BINARY),
        ("<upload ref='/data/a' mediatype='image/*'/>", "string", FieldType.BINARY),
        ("<select1 ref='/data/a'/>", "string", FieldType.SELECT_ONE),
        ("<select ref='/data/a'/>", "string", FieldType.SELECT_MULTIPLE),
        ("<odk:rank ref='/data/a'/>", "odk:rank", FieldType.RANK),
        ("<trigger ref='/data/a'/>", "string", FieldType.STRING),
        ("", "select1", FieldType.SELECT_ONE),
    ],
)
def test_the_control_and_the_bind_give_the_type(control: str, bind_type: str, expected: FieldType) -> None:
    schema = read("<a/>", f'<bind nodeset="/data/a" type="{bind_type}"/>', control)

    assert field(schema, "/a").type is expected
    assert field(schema, "/a").control in control


def test_a_bind_gives_its_expressions_as_they_stand() -> None:
    bind = (
        '<bind nodeset="/data/a" type="int" relevant=" /data/b  &gt; 1" required="true()" readonly="true()"'
        ' constraint=". &lt; 5" jr:constraintMsg="Too many" calculate=" /data/b " entities:saveto="age"/>'
    )
    leaf = field(read("<a>3</a><b/>", bind), "/a")

    assert (leaf.relevant, leaf.constraint, leaf.calculate) == (" /data/b  > 1", ". < 5", " /data/b ")
    assert (leaf.required, leaf.readonly, leaf.save_to, leaf.default) == ("true()", "true()", "age", "3")
    assert dict(leaf.constraint_message) == {"default": "Too many"}


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ('jr:preload="timestamp" jr:preloadParams="start"', "timestamp:start"),
        ('jr:preload="property" jr:preloadParams="deviceid"', "property:deviceid"),
        ('jr:preload="uid"', "uid"),
        ("", ""),
    ],
)
def test_a_preload_carries_its_parameter(attributes: str, expected: str) -> None:
    assert field(read("<a/>", f'<bind nodeset="/data/a" {attributes}/>'), "/a").preload == expected


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ('<setvalue ref="/data/a" event="odk-instance-first-load" value="now()"/>', "now()"),
        ('<setvalue ref="/data/a" event="odk-instance-first-load odk-new-repeat">in</setvalue>', "'in'"),
        ('<setvalue ref="/data/a" event="xforms-value-changed" value="now()"/>', ""),
    ],
)
def test_a_setvalue_at_the_start_is_a_default(action: str, expected: str) -> None:
    assert field(read("<a/>", action), "/a").default_expression == expected


def test_old_and_relative_references_find_their_nodes() -> None:
    body = '<group ref="/data/g"><input ref="a"><label>A</label></input><input bind="b1"><label>B</label></input></group>'
    schema = read("<g><a/><orx:b/></g>", '<bind id="b1" nodeset="/data/g/orx:b" type="int"/>', body)

    assert one_text(schema, "/g/a") == {"default": "A"}
    assert one_text(schema, "/g/b") == {"default": "B"}
    assert field(schema, "/g/b").type is FieldType.INT


def test_a_repeat_takes_its_rows_from_the_template_and_its_label_from_the_group() -> None:
    instance = "<r jr:template=''><a>1</a></r><r><a/></r>"
    body = (
        '<group ref="/data/r"><label>Rows</label><repeat nodeset="/data/r" jr:count=" /data/n " appearance="x">'
        '<input ref="/data/r/a"/></repeat></group>'
    )
    schema = read(
        f"<n/>{instance}", '<bind nodeset="/data/r" relevant="1=1"/>', body, SheetMarks(keys={"/r": "a"})
    )

    (repeat,) = schema.repeats
    assert (repeat.path, dict(repeat.label), repeat.count) == ("/r", {"default": "Rows"}, " /data/n ")
    assert (repeat.relevant, repeat.appearance, repeat.row_key) == ("1=1", "x", "a")
    assert [leaf.default for leaf in schema.fields] == ["", "1"]


def test_repeats_and_groups_nest() -> None:
    instance = "<r><g><s><a/></s></g></r>"
    body = (
        '<group ref="/data/r"><repeat nodeset="/data/r"><group ref="/data/r/g" appearance="field-list">'
        '<group ref="/data/r/g/s"><repeat nodeset="/data/r/g/s"/></group></group></repeat></group>'
    )
    schema = read(instance, "", body)

    assert [type(node) for node in schema.walk()] == [Repeat, Group, Repeat, Field]
    assert [repeat.path for repeat in schema.repeats] == ["/r", "/r/g/s"]


ITEXT = """<itext>
  <translation lang="Farsi (fa)"><text id="a:label"><value>نام <output value=" /data/b "/></value></text>
    <text id="a:hint"><value>-</value></text></translation>
  <translation lang="English (en)" default="true()"><text id="a:label"><value>Name</value>
    <value form="image">jr://images/a.png</value><value form="guidance">g</value></text>
    <text id="a:hint"><value form="long">Full</value></text></translation></itext>"""


def test_texts_stand_in_every_language_with_the_default_first() -> None:
    body = (
        "<input ref='/data/a'><label ref=\"jr:itext('a:label')\"/><hint ref=\"jr:itext('a:hint')\"/></input>"
    )
    schema = read("<a/>", ITEXT, body)

    assert schema.languages == ("English (en)", "Farsi (fa)")
    assert one_text(schema, "/a") == {"English (en)": "Name", "Farsi (fa)": "نام ${b}"}
    assert dict(field(schema, "/a").hint) == {"English (en)": "Full"}


def test_a_text_without_translation_is_in_the_default_language() -> None:
    body = "<input ref='/data/a'><label>Plain <output value='concat(/data/b, 1)'/></label></input>"

    assert one_text(read("<a/>", ITEXT, body), "/a") == {"English (en)": "Plain ${concat(/data/b, 1)}"}


ISLANDS = """<instance id="post"><root>
  <item><name>a</name><label>A</label><tier>1</tier></item><item><name>b</name><label>B</label></item>
  <item><label>nameless</label></item></root></instance>"""


def test_a_list_in_the_form_gives_its_choices_with_their_columns() -> None:
    nodeset = "randomize(instance('post')/root/item[tier = 1])"
    body = f'<select1 ref="/data/a"><itemset nodeset="{nodeset}"><value ref="name"/><label ref="label"/></itemset></select1>'
    choices = field(read("<a/>", ISLANDS, body), "/a").choices

    assert choices is not None
    assert [(choice.name, dict(choice.label), dict(choice.extra)) for choice in choices.choices] == [
        ("a", {"default": "A"}, {"tier": "1"}),
        ("b", {"default": "B"}, {}),
    ]
    assert (choices.nodeset, choices.file) == (nodeset, "")


def test_inline_items_are_choices() -> None:
    body = "<select ref='/data/a'><item><label>Yes</label><value>y</value></item><item><value>n</value></item></select>"
    choices = field(read("<a/>", "", body), "/a").choices

    assert choices is not None
    assert choices.names == {"y", "n"}
    assert dict(choices.choices[0].label) == {"default": "Yes"}


def test_a_list_in_a_file_names_the_file_and_its_columns() -> None:
    model = '<instance id="post" src="jr://file-csv/post.csv"/>'
    itemset = (
        "<itemset nodeset=\"instance('post')/root/item\"><value ref='pcode'/><label ref='title'/></itemset>"
    )
    schema = read("<a/>", model, f'<select1 ref="/data/a">{itemset}</select1>')

    choices = field(schema, "/a").choices
    assert choices is not None
    assert (choices.file, choices.value_ref, choices.label_ref, choices.choices) == (
        "post.csv",
        "pcode",
        "title",
        (),
    )
    assert schema.media == ("post.csv",)


def test_search_reads_its_columns_from_the_named_file() -> None:
    item = "<item><label>title</label><value>pcode</value></item>"
    schema = read(
        "<a/>", "", f"<select1 ref='/data/a' appearance=\"minimal search('post')\">{item}</select1>"
    )

    choices = field(schema, "/a").choices
    assert choices is not None
    assert (choices.file, choices.value_ref, choices.label_ref) == ("post.csv", "pcode", "title")
    assert choices.choices == ()


def test_choices_from_rows_of_the_form_itself_are_open() -> None:
    body = "<select1 ref='/data/a'><itemset nodeset='/data/r[b != \"\"]'><value ref='b'/><label ref='b'/></itemset></select1>"
    choices = field(read("<r><b/></r><a/>", "", body), "/a").choices

    assert choices is not None
    assert (choices.choices, choices.file, choices.value_ref) == ((), "", "b")


def test_external_itemsets_are_a_select_from_their_file() -> None:
    schema = read("<a/>", "", "<input ref='/data/a' query=\"instance('post')/root/item\"/>")

    choices = field(schema, "/a").choices
    assert choices is not None
    assert (field(schema, "/a").type, choices.file) == (FieldType.SELECT_ONE, "itemsets.csv")
    assert schema.media == ("itemsets.csv",)


def test_media_are_named_once_in_the_forms_order() -> None:
    model = (
        ITEXT + '<instance id="p" src="jr://file/post.geojson"/><instance id="q" src="jr://images/a.png"/>'
        '<instance id="__last-saved" src="jr://instance/last-saved"/>'
    )

    assert read("<a>jr://images/map.jpg</a>", model).media == ("a.png", "post.geojson", "map.jpg")


def test_a_public_key_makes_the_form_encrypted() -> None:
    assert read("<a/>", '<submission base64RsaPublicKey="MIIB"/>').encrypted
    assert not read("<a/>", '<submission action="https://example.org"/>').encrypted


def test_an_entity_is_a_group_with_or_without_a_label() -> None:
    entity = '<entity dataset="person" id="" create="1"/>'
    schema = read(f"<orx:meta>{entity}<orx:instanceID/></orx:meta>")

    assert isinstance(schema.by_path["/meta/entity"], Group)
    assert isinstance(schema.by_path["/meta"], Group)
    assert field(schema, "/meta/instanceID").name == "instanceID"


def test_marks_of_the_sheet_come_onto_their_fields() -> None:
    marks = SheetMarks(flags={"/g/a": "R p,D"}, merges={"/g/a": "latest"})
    leaf = field(read("<g><a/></g>", marks=marks), "/g/a")

    assert leaf.flags == {Flag.REQUIRED, Flag.PERSONAL, Flag.DUPLICATE_KEY}
    assert leaf.merge == "latest"


def test_the_form_that_odk_validate_is_checked_with_is_read_whole() -> None:
    data = (files("pyxform") / "validators" / "xlsform_spec_test.xml").read_bytes()
    schema = xform.read(data)

    assert schema.languages == ("default", "chinese", "english")
    assert {"a.jpg", "audio_test.wav", "test.mov"} <= set(schema.media)
    assert len(schema.fields) == data.count(b"<bind ") - 1  # one bind is of a group


@pytest.mark.parametrize(
    "marks",
    [
        SheetMarks(flags={"/b": "P"}),
        SheetMarks(flags={"/a": "X"}),
        SheetMarks(merges={"/g": "latest"}),
        SheetMarks(keys={"/a": "b"}),
        SheetMarks(keys={"/g": "b"}),
    ],
)
def test_a_mark_for_what_the_form_lacks_is_refused(marks: SheetMarks) -> None:
    with pytest.raises(FormError):
        read("<a/><g><b/></g>", marks=marks)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not xml",
        b"<a/>",
        write("<a/>")[:-20],
        write("<a/>").replace(b"model>", b"modle>"),
        write("<a/>").replace(b'id="crossing"', b""),
        write("<a/>").replace(b"h:body", b"h:foot"),
        write("<a/>").replace(b"instance>", b"example>"),
        b'<!DOCTYPE a [<!ENTITY b "c">]>' + write("<a/>").partition(b"?>")[2],
    ],
)
def test_what_is_no_xform_is_refused_with_the_way_out(data: bytes) -> None:
    with pytest.raises(FormError) as refusal:
        xform.read(data)

    (fault,) = refusal.value.faults
    assert fault.message.startswith("This is no XForm")
    assert fault.fix
