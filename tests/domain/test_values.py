"""The rules of names, slugs, colours, icons and settings, at their edges."""

import json
import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from domain.errors import InvalidValue
from domain.table_def import TableDef
from domain.table_details import Details
from domain.values import (
    DEFAULT_SETTINGS,
    Color,
    Description,
    Icon,
    Name,
    Settings,
    Slug,
    diff_patch,
    merge_patch,
    same_json,
)
from tests.domain.vocabulary import TABLE, Given, change, context, new

E_ACUTE = "e\u0301"  # two code points, one after NFC
QA = "\u0958"  # one code point, two after NFC


def valid(kind: Any, text: str) -> str:
    return TypeAdapter(kind).validate_python(text)  # type: ignore[no-any-return]


def fault(kind: Any, value: Any) -> str:
    """The code of the one thing that is wrong with a value."""
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(kind).validate_python(value)
    (error,) = refused.value.errors()
    return error["type"]


# Lengths


@pytest.mark.parametrize(
    ("kind", "limit", "unit"),
    [
        (Name, 255, "é"),
        (Name, 255, "𝒳"),
        (Icon, 50, "é"),
        (Description, 10_000, "é"),
        (Slug, 255, "a"),
    ],
)
def test_a_text_can_be_as_long_as_its_limit_and_no_longer(kind: Any, limit: int, unit: str) -> None:
    assert valid(kind, unit * limit) == unit * limit
    assert fault(kind, unit * (limit + 1)) == "too-long"


@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        (Name, {"minLength": 1, "maxLength": 255}),
        (Icon, {"minLength": 1, "maxLength": 50}),
        (Description, {"maxLength": 10_000}),
        (Slug, {"minLength": 1, "maxLength": 255, "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$"}),
        (Color, {"pattern": "^#[0-9a-fA-F]{6}$"}),
    ],
)
def test_clients_are_told_the_limits_of_a_text(kind: Any, schema: dict[str, Any]) -> None:
    assert TypeAdapter(kind).json_schema() == {"type": "string", **schema}


def test_the_refusal_says_how_long_a_text_may_be_and_is() -> None:
    with pytest.raises(ValidationError, match="at most 255 characters, has 256"):
        valid(Name, "x" * 256)


def test_lengths_count_code_points_after_normalisation() -> None:
    assert valid(Name, E_ACUTE * 255) == "é" * 255
    assert fault(Name, E_ACUTE * 256) == "too-long"
    assert len(valid(Name, QA * 127)) == 254
    assert fault(Name, QA * 128) == "too-long"


def test_lengths_count_what_is_left_after_trimming() -> None:
    assert valid(Name, "  " + "x" * 255 + "\n") == "x" * 255


@pytest.mark.parametrize("kind", [Name, Icon])
@pytest.mark.parametrize("text", ["", " ", "\t\n", "\u3000"])
def test_a_name_or_icon_is_not_empty(kind: Any, text: str) -> None:
    assert fault(kind, text) == "too-short"


def test_a_description_may_be_empty() -> None:
    assert valid(Description, "  ") == ""


def test_texts_are_trimmed_and_normalised() -> None:
    assert valid(Name, f" Caf{E_ACUTE} ") == "Café"
    assert valid(Description, f"\nCaf{E_ACUTE}\n") == "Café"


@settings(settings.get_profile("domain"))
@given(st.text(max_size=20))
def test_a_text_that_was_accepted_is_accepted_again_unchanged(text: str) -> None:
    try:
        once = valid(Name, text)
    except ValidationError:
        return
    assert valid(Name, once) == once


# Hostile text

HOSTILE = {
    "NUL": "a\x00b",
    "bell": "a\x07b",
    "escape": "a\x1b[31mb",
    "delete": "a\x7fb",
    "C1 control": "a\x85b",
    "line separator": "a\u2028b",
    "right-to-left override": "invoice\u202efdp.exe",
    "right-to-left embedding": "a\u202bb",
    "right-to-left isolate": "a\u2067b",
    "right-to-left mark": "a\u200fb",
    "Arabic letter mark": "a\u061cb",
    "zero-width space": "or\u200bders",
    "word joiner": "or\u2060ders",
    "byte order mark": "\ufeffOrders",
    "soft hyphen": "or\u00adders",
    "invisible operator": "a\u2062b",
    "Hangul filler": "\u3164",
    "combining grapheme joiner": "a\u034fb",
    "joiner between Latin letters": "or\u200dders",
    "non-joiner between Latin letters": "or\u200cders",
    "joiner between Cyrillic letters": "за\u200dказы",
    "joiner at the start": "\u200d👨",
    "joiner at the end": "👨\u200d",
    "joiner before a space": "👨\u200d 👩",
    "two joiners": "👨\u200d\u200d👩",
    "variation selector alone": "\ufe0f",
    "variation selectors in a row": "❤\ufe0f\ufe0f",
    "text hidden in tags": "Orders" + "".join(chr(0xE0000 + ord(c)) for c in "hidden"),
    "language tag": "a\U000e0001b",
    "interlinear annotation": "a\ufff9b",
    "non-character": "a\uffffb",
}
VISIBLE = [
    "Orders – 2026/27 (β) №5 & more… 'q' \"q\" <b>",
    "注文 受注",
    "הזמנות",
    "طلبات",
    "می\u200cخواهم",  # Persian needs the non-joiner
    "क्\u200dष",  # Hindi needs the joiner
    "👨\u200d👩\u200d👧\u200d👦",
    "❤\ufe0f\u200d🔥",
    "🏳\ufe0f\u200d🌈",
    "1\ufe0f\u20e3",
    "👋🏽",
    "🇩🇪",
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",  # the flag of England
]


@pytest.mark.parametrize("kind", [Name, Description])
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_refused(kind: Any, text: str) -> None:
    assert fault(kind, text) == "invalid-text"


@pytest.mark.parametrize("kind", [Name, Description, Icon])
@pytest.mark.parametrize("text", VISIBLE)
def test_text_of_any_script_and_emoji_of_any_make_are_kept(kind: Any, text: str) -> None:
    assert valid(kind, text) == text


@pytest.mark.parametrize("character", string.ascii_letters + string.digits + string.punctuation)
def test_every_plain_character_may_stand_beside_any_other(character: str) -> None:
    for text in (f"{character}é", f"é{character}", f"{character} é"):
        assert valid(Name, text) == text


def test_the_refusal_names_the_character() -> None:
    with pytest.raises(ValidationError, match=r"U\+202E"):
        valid(Name, HOSTILE["right-to-left override"])


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(ValidationError):
        valid(Name, "a\ud800b")


@pytest.mark.parametrize("separator", ["\n", "\r\n", "\t"])
def test_only_a_description_has_several_lines(separator: str) -> None:
    assert valid(Description, f"a{separator}b") == f"a{separator}b"
    assert fault(Name, f"a{separator}b") == "invalid-text"
    assert fault(Icon, f"a{separator}b") == "invalid-text"


# Slugs and colours


@pytest.mark.parametrize("slug", ["a", "0", "orders", "sales-2026", "a-b-c", "a" * 255])
def test_a_slug_is_words_joined_by_single_hyphens(slug: str) -> None:
    assert valid(Slug, slug) == slug


@pytest.mark.parametrize(
    "slug",
    ["", "-", "-a", "a-", "a--b", "Orders", "a b", "a_b", "a.b", "a/b", "größe", "a\n", " a", "١"],
)
def test_anything_else_is_no_slug(slug: str) -> None:
    assert fault(Slug, slug) == "invalid-slug"


def test_a_colour_is_kept_in_lower_case() -> None:
    assert valid(Color, "#AbCdEf") == "#abcdef"
    assert valid(Color, "#012345") == "#012345"


@pytest.mark.parametrize(
    "color",
    ["", "red", "#fff", "#12345", "#1234567", "#ggg000", "123456", "#123456\n", "#１２３４５６"],
)
def test_anything_else_is_no_colour(color: str) -> None:
    assert fault(Color, color) == "invalid-color"


# Settings


def settings_fault(value: dict[str, Any]) -> str:
    """The code with which these settings are refused, for a new table and for an old one alike."""
    with pytest.raises(InvalidValue) as refused:
        new(settings=value)
    error = Given().refuses(change(settings=value), InvalidValue)
    assert isinstance(error, InvalidValue)
    assert (error.pointer, error.code) == (refused.value.pointer, refused.value.code)
    assert error.pointer == "/settings"
    return error.code


def nested(depth: int, inside: str = "1") -> dict[str, Any]:
    """Settings that nest this many levels around a value, the outermost object counted."""
    value = json.loads(inside)
    for level in range(depth - 1):
        value = [value] if level % 2 else {"k": value}
    return {"k": value}


def sized(size: int) -> dict[str, Any]:
    """Settings of this many bytes as compact JSON."""
    frame = len(b'{"list":[1,2],"k":"\xc3\xa9"}')
    return {"list": [1, 2], "k": "é" + "x" * (size - frame)}


def test_settings_have_at_most_32_kib() -> None:
    assert new(settings=sized(32 * 1024)).settings == sized(32 * 1024)
    assert settings_fault(sized(32 * 1024 + 1)) == "too-large"


def test_settings_nest_at_most_8_levels() -> None:
    assert new(settings=nested(8)).settings == nested(8)
    assert settings_fault(nested(9)) == "too-deep"
    for brackets in ("[]", "{}"):
        assert new(settings=nested(7, brackets)).settings == nested(7, brackets)
        assert settings_fault(nested(8, brackets)) == "too-deep"


def test_settings_have_at_most_100_keys() -> None:
    keys = {f"k{n}": n for n in range(100)}
    assert new(settings=keys).settings == keys
    assert settings_fault(keys | {"one": 1}) == "too-many-keys"


def test_what_is_wrong_with_settings_is_said_in_words() -> None:
    with pytest.raises(InvalidValue, match=r"^must have at most 100 keys, would have 101$"):
        new(settings={f"k{n}": n for n in range(101)})


def test_limits_hold_for_what_settings_become_not_for_the_patch_alone() -> None:
    half = Given((TableDef.SettingsChanged, {"changes": {"half": "x" * 20_000}}))
    error = half.refuses(change(settings={"other": "x" * 20_000}), InvalidValue)
    assert isinstance(error, InvalidValue)
    assert error.code == "too-large"


@pytest.mark.parametrize("value", ["a\x00b", "a\ud800b", float("nan"), float("inf")])
def test_what_no_json_column_can_hold_is_refused(value: Any) -> None:
    keys = [{value: 1}] if isinstance(value, str) else []
    for hidden in (value, [value], {"k": value}, *keys):
        details = Details(name="Orders", settings=Settings(k=hidden))
        with pytest.raises(InvalidValue) as refused:
            TableDef.create(TABLE, details, "orders", context())
        assert refused.value.code == "invalid-text"


def test_many_brackets_side_by_side_are_not_deep() -> None:
    wide = {"k": [[], {}] * 20, "l": "[[[[[[[[[{{{{{{{{{"}
    assert new(settings=wide).settings == wide
    for deepest in (nested(8), nested(7, "[]"), nested(7, "{}")):
        both = deepest | {"l": [], "m": {}}
        assert new(settings=both).settings == both


LOOK_ALIKES = {"NaN": ["Infinity", r"\u0000", None, 1.5, True]}


@pytest.mark.parametrize(
    "value", [0.5, -1, 1e300, True, "x", [None, 1.5], {"k": [0.1]}, LOOK_ALIKES]
)
def test_any_other_value_of_json_is_kept_as_it_is(value: Any) -> None:
    assert same_json(new(settings={"k": value}).settings, {"k": value})


@pytest.mark.parametrize("key", ["a", "Z", "a1", "a_b", "camelCase", "a" * 64])
def test_a_further_key_is_a_word(key: str) -> None:
    assert new(settings={key: 1}).settings == {key: 1}


@pytest.mark.parametrize("key", ["", "1a", "_a", "a-b", "a b", "é", "a\n", "a" * 65, "__class__"])
def test_anything_else_is_no_key(key: str) -> None:
    with pytest.raises(ValidationError) as refused:
        new(settings={key: 1})
    (error,) = refused.value.errors()
    assert (error["type"], error["loc"][:2]) == ("string_pattern_mismatch", ("settings", key))


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        ("allowMultiple", 1, "bool_type"),
        ("allowMultiple", "true", "bool_type"),
        ("enableForm", 0, "bool_type"),
        ("enableComments", "no", "bool_type"),
        ("enableAttachments", [], "bool_type"),
        ("enableRevisions", {}, "bool_type"),
        ("recordNameFormat", 1, "string_type"),
        ("recordNameFormat", "a\u202eb", "invalid-text"),
        ("defaultView", True, "string_type"),
        ("defaultView", "", "too-short"),
        ("defaultView", "x" * 256, "too-long"),
    ],
)
def test_known_settings_are_typed(key: str, value: Any, code: str) -> None:
    with pytest.raises(ValidationError) as refused:
        new(settings={key: value})
    (error,) = refused.value.errors()
    assert (error["type"], error["loc"]) == (code, ("settings", key))


def test_known_settings_are_kept_as_they_were_sent_without_defaults() -> None:
    given = {"recordNameFormat": "{{name}} – {{date}}", "enableForm": False, "defaultView": "grid"}
    assert new(settings=given).settings == given


def test_every_known_setting_has_a_default_of_its_own_type() -> None:
    assert new(settings=dict(DEFAULT_SETTINGS)).settings == DEFAULT_SETTINGS
    assert set(Settings.model_fields) == set(DEFAULT_SETTINGS)


@pytest.mark.parametrize(("key", "default"), DEFAULT_SETTINGS.items())
def test_clients_are_told_the_default_of_each_setting(key: str, default: bool | str) -> None:
    said = {True: "true", False: "false", "": "empty"}.get(default, f"`{default}`")
    assert f"Default {said}." in str(Settings.model_fields[key].description)


@pytest.mark.parametrize("value", ["grid", 1, True, [], [{"a": 1}]])
def test_settings_are_an_object(value: Any) -> None:
    with pytest.raises(ValidationError):
        new(settings=value)


# Merge patches

APPENDIX_A = [  # RFC 7396, appendix A: original, patch, result
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]

SCALARS = st.sampled_from([True, False, 0, 1, 1.5, "", "x"])
INSIDE_ARRAYS = st.none() | SCALARS | st.just({"a": None})
VALUES = st.recursive(
    SCALARS | st.lists(INSIDE_ARRAYS, max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)


@pytest.mark.parametrize(("original", "patch", "result"), APPENDIX_A)
def test_the_examples_of_the_rfc(original: Any, patch: Any, result: Any) -> None:
    before = json.dumps([original, patch])
    assert merge_patch(original, patch) == result
    assert json.dumps([original, patch]) == before


@settings(settings.get_profile("domain"), max_examples=40)
@given(OBJECTS, OBJECTS)
def test_the_difference_leads_from_the_old_to_the_new(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    assert same_json(merge_patch(old, diff_patch(old, new)), new)


@settings(settings.get_profile("domain"))
@given(OBJECTS)
def test_there_is_no_difference_to_oneself(value: dict[str, Any]) -> None:
    assert diff_patch(value, json.loads(json.dumps(value))) == {}


@settings(settings.get_profile("domain"))
@given(OBJECTS, OBJECTS)
def test_a_difference_names_no_key_without_need(old: dict[str, Any], new: dict[str, Any]) -> None:
    patch = diff_patch(old, new)
    for key in patch:
        fewer = {k: v for k, v in patch.items() if k != key}
        assert not same_json(merge_patch(old, fewer), new)


@pytest.mark.parametrize(
    ("one", "other"),
    [(True, 1), (False, 0), ([True], [1]), ({"a": 0}, {"a": False}), ([1], [1, 1])],
)
def test_json_values_that_only_python_calls_equal_differ(one: Any, other: Any) -> None:
    assert not same_json(one, other)
    assert same_json(one, one)
