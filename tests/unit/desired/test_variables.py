"""`${VARIABLES}`: what stands for them, what is refused, and where it stands in the file."""

import pytest

from reconciler.desired.limits import ReadLimits
from reconciler.desired.load import Loader
from reconciler.desired.manifest import read_file
from reconciler.desired.redact import HIDDEN, SECRET_FIELDS_ANNOTATION, redacted
from reconciler.desired.variables import VariableFault, Variables, expand
from reconciler.model.meta import ObjectKey
from tests.unit.sync.cluster import snapshot

VARIABLES = Variables(
    {"NAME": "web", "N": "3", "EMPTY": "", "PASSWORD": "hunter2", "LONG": "abcdef", "YES": "yes"},
    frozenset({"PASSWORD"}),
)


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("no variable, $HOME and $(POD) stay", "no variable, $HOME and $(POD) stay"),
        ("a-${NAME}-${N}", "a-web-3"),
        ("$${NAME} ${NAME} $$", "${NAME} web $$"),
        ("${NOT:=x}${NOT:-y}${NOT=z}${NOT-}", "xyz"),
        ("${EMPTY:=x}|${EMPTY=x}|${EMPTY}", "x||"),
        ("${NOT:=${NAME:=b}}", "web"),
        ("${NOT:=a:b/c}", "a:b/c"),
        ("${LONG:2} ${LONG:1:2} ${LONG:0:99}", "cdef bc abcdef"),
        ("${LONG/cd/-} ${LONG//a/b}", "ab-ef bbcdef"),
        ("{${NAME}}", "{web}"),
    ],
)
def test_what_stands_for_a_variable(text, expanded):
    assert expand(text, VARIABLES).text == expanded


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        ("ab ${NOT}", 3, "variable NOT has no value and no default"),
        ("${NAME:=${NOT}} ${NOT:=${NEVER}}", 23, "variable NEVER has no value"),
        ("${NAME", 0, "${NAME has no closing brace"),
        ("${a.b}", 0, "${a.b} is no variable with a known function; write $${ for"),
        ("${{ matrix }}", 0, "is no variable"),
        ("${NAME^^}", 0, "${NAME^^} is no variable with a known function"),
        ("${1A}", 0, "is no variable"),
    ],
)
def test_what_is_refused(text, at, message):
    with pytest.raises(VariableFault) as refused:
        expand(text, VARIABLES)
    assert refused.value.at == at
    assert message in refused.value.message


def test_a_value_is_not_looked_into():
    assert expand("${A}", Variables({"A": "${B}"})).text == "${B}"


def test_deep_nesting_ends():
    with pytest.raises(VariableFault):
        expand("${A:=" * 50 + "}" * 50, Variables({}))


def test_a_value_of_a_secret_is_known_as_one():
    assert expand("x${PASSWORD}", VARIABLES).secret
    assert not expand("x${NAME}${PASSWORDS:=1}", VARIABLES).secret


def read(text, variables=VARIABLES, path="a.yaml"):
    return read_file(path, text.encode(), "default", ReadLimits(), variables=variables)


APP = "spec.template.spec.containers[0]"
CONTROLLER = """\
apiVersion: v1
kind: ReplicationController
metadata:
  name: ${NAME}
spec:
  replicas: ${N}
  selector: {app: "${N}"}
  template:
    metadata: {labels: {app: "${N}"}}
    spec:
      containers:
      - name: app
        image: app:${N}
        args: ["--user", "${PASSWORD}"]
        env:
        - {name: M, value: "${N}"}
        - name: DSN
          value: db://me:${PASSWORD}@db
"""


def test_scalars_keep_the_kind_that_yaml_gives_them():
    result = read(CONTROLLER)
    assert result.problems == ()
    (found,) = result.objects
    assert found.key == ObjectKey("ReplicationController", "default", "web")
    spec = found.manifest["spec"]
    assert spec["replicas"] == 3
    assert spec["selector"] == {"app": "3"}
    assert spec["template"]["spec"]["containers"][0]["env"][0]["value"] == "3"


def test_fields_with_a_secrets_value_are_known_and_not_printed():
    (found,) = read(CONTROLLER).objects
    noted = found.obj.metadata.annotations[SECRET_FIELDS_ANNOTATION]
    assert noted == ("/spec/template/spec/containers/args,/spec/template/spec/containers/env/value")
    printed = redacted(found.manifest)
    assert "hunter2" not in str(printed)
    container = printed["spec"]["template"]["spec"]["containers"][0]
    assert container["args"] == HIDDEN
    assert container["image"] == "app:3"


def test_a_value_never_becomes_structure():
    evil = Variables({"X": "a\n  privileged: true # ", "N": "{a: b}"})
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: '${X}', m: ${N:=1}}\n"
    (found,) = read(text.replace("${N:=1}", '"${N}"'), evil).objects
    assert found.manifest["data"] == {"k": "a\n  privileged: true # ", "m": "{a: b}"}


def test_an_undefined_variable_has_file_line_and_column():
    text = CONTROLLER.replace("image: app:${N}", "image: app:${VERSION}").replace(
        "db://me:${PASSWORD}", "db://${WHO}:${PASSWORD}"
    )
    result = read(text)
    assert result.objects == ()
    assert [str(each) for each in result.problems] == [
        f"a.yaml:13:20: {APP}.image: variable VERSION has no value and no default",
        f"a.yaml:18:23: {APP}.env[1].value: variable WHO has no value and no default",
    ]


def test_the_place_in_a_block_of_text_and_in_a_key():
    text = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n"
        "  file: |\n    one\n    two ${NOT}\n  key-${NOR}: x\n"
    )
    assert [each.place for each in read(text).problems] == ["a.yaml:7:9", "a.yaml:8:7"]


def test_a_comment_is_no_template():
    text = "# ${NOT}\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: b} # ${NOT}\n"
    assert read(text).problems == ()


@pytest.mark.parametrize(
    "note", ["reconciler.dev/substitute", "kustomize.toolkit.fluxcd.io/substitute"]
)
@pytest.mark.parametrize("where", ["annotations", "labels"])
def test_an_object_may_opt_out(note, where):
    text = (
        f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  {where}: {{{note}: disabled}}\n"
        "data: {k: '${NOT}'}\n"
    )
    (found,) = read(text).objects
    assert found.manifest["data"] == {"k": "${NOT}"}


def test_without_variables_nothing_is_replaced():
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: '${NAME}'}\n"
    (found,) = read(text, None).objects
    assert found.manifest["data"] == {"k": "${NAME}"}


def test_errors_do_not_tell_a_secrets_value():
    result = read(CONTROLLER.replace("replicas: ${N}", "replicas: ${PASSWORD}"))
    assert "hunter2" not in str(result.problems)
    assert result.problems[0].field == "spec.replicas"


def test_a_secrets_value_is_no_name():
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a-${PASSWORD}\n"
    (problem,) = read(text).problems
    assert problem.place == "a.yaml:4:9"
    assert "may not be part of a kind or name" in problem.message
    assert "hunter2" not in str(problem)


def test_values_cannot_fill_the_memory():
    bomb = Variables({"A": "x" * 1_000_000})
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n" + "".join(
        f"  k{n}: ${{A}}\n" for n in range(40)
    )
    assert "more than 16777216 characters" in read(text, bomb).problems[0].message


def test_other_variables_read_the_source_again():
    shown = snapshot(CONTROLLER.encode())
    loader = Loader()
    first = loader.load(shown, VARIABLES)
    assert loader.load(shown, VARIABLES).objects is first.objects
    more = Variables({**VARIABLES.values, "N": "4"}, VARIABLES.secret)
    (second,) = loader.load(shown, more).objects.values()
    assert second.manifest["spec"]["replicas"] == 4
    (missing,) = loader.load(
        shown, Variables({}, missing=("spec.substituteFrom[0]: ConfigMap a/b does not exist",))
    ).problems
    assert (missing.field, missing.message) == (
        "spec.substituteFrom[0]", "ConfigMap a/b does not exist",
    )  # fmt: skip
