"""Every config file, found by listing configs/, and the parity ledger against what the profiles really set."""

import ast
import fnmatch
import importlib
import pkgutil
import re
from pathlib import Path
from typing import Any

import pytest
from ml_collections import config_flags

import configs
import flipjax.methods
from configs.common import PROFILES
from flipjax.core.errors import ConfigError
from flipjax.experiment.assemble import method_of
from flipjax.experiment.workdir import as_json, flat
from flipjax.training import optim

REPOSITORY = Path(__file__).resolve().parents[2]
LEDGER = REPOSITORY / "PARITY.md"
SECTIONS = [
    "seed",
    "protocol",
    "profile",
    "data",
    "text",
    "method",
    "weights",
    "optim",
    "train",
    "eval",
    "mesh",
    "log",
]
NAMES = [module.name for module in pkgutil.iter_modules(configs.__path__) if module.name not in ("common", "sweeps")]
ARGUMENTS = [
    None,
    "tiny",
    "oci_to_m",
    "shots=5",
    "tiny,syn_acd_to_b,shots=1",
    *(f"profile={name}" for name in PROFILES),
]


def get_config(name: str, arg: str | None = None) -> Any:
    return importlib.import_module(f"configs.{name}").get_config(arg)


def test_every_method_has_a_config_and_every_config_a_method():
    assert sorted(NAMES) == sorted(module.name for module in pkgutil.iter_modules(flipjax.methods.__path__))


@pytest.mark.parametrize("arg", ARGUMENTS)
@pytest.mark.parametrize("name", NAMES)
def test_config_has_the_sections_in_order_and_builds(name: str, arg: str | None):
    config = get_config(name, arg)
    assert list(config._fields) == SECTIONS, "keys() and to_dict() sort; this is the order of writing"
    assert method_of(config).name == config.method.name == name
    for key, value in flat(as_json(config)).items():
        assert value is not None, f"{key} is None, which a flag cannot override"


@pytest.mark.parametrize("name", NAMES)
def test_argument_sets_what_it_says(name: str):
    tiny = get_config(name, "tiny")
    assert tiny.protocol == "syn_bcd_to_a" and tiny.weights.clip == "" and tiny.train.steps < 1000
    assert get_config(name, "tiny,syn_acd_to_b").protocol == get_config(name, "syn_acd_to_b,tiny").protocol
    both = get_config(name, "omi_to_c,shots=5,profile=paper")
    assert (both.protocol, both.data.shots, both.profile) == ("omi_to_c", 5, "paper")


@pytest.mark.parametrize(
    "arg", ["tinny", "profile=papers", "shots=many", "shots=-1", "tiny,,x", "tiny=1", "protocol=oci_to_m"]
)
@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_argument_is_an_error_that_names_it(name: str, arg: str):
    wrong = next(word for word in arg.split(",") if word not in ("tiny", ""))
    with pytest.raises(ValueError, match=re.escape(f"'{wrong}'")):
        get_config(name, arg)


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_key_or_a_wrong_type_is_an_error(name: str):
    config = get_config(name).lock()
    with pytest.raises(AttributeError, match="stepz"):
        config.train.stepz = 3
    with pytest.raises(TypeError):
        config.train.steps = "many"
    parser = config_flags.config_flags._ConfigFileParser(name="config", lock_config=True)
    assert parser.parse(str(REPOSITORY / "configs" / f"{name}.py:tiny")).protocol == "syn_bcd_to_a"


@pytest.mark.parametrize("name", NAMES)
def test_configs_share_nothing(name: str):
    first, second = get_config(name, "tiny"), get_config(name, "tiny")
    before = flat(as_json(second))
    for key, value in before.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            first.update_from_flattened_dict({key: type(value)(value + 1)})
    assert flat(as_json(second)) == before == flat(as_json(get_config(name, "tiny")))


FREE_TEXT = ("protocol", "data.dir", "data.lists_dir", "weights.clip", "weights.bert", "weights.t5")


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_value_of_a_switch_is_an_error_that_names_the_key(name: str):
    keys = flat(as_json(get_config(name, "tiny")))
    switches = [key for key, value in keys.items() if isinstance(value, str) and key not in (*FREE_TEXT, "profile")]
    if name == "flip_it":
        switches.remove("text.views")  # FLIP-IT has no views; the section is FLIP's
    for key in switches:
        config = get_config(name, "tiny")
        config.update_from_flattened_dict({key: "nonsense"})
        with pytest.raises(ConfigError, match=f"{key} 'nonsense'"):
            optim.build(method_of(config).stages[0])


def ledger_rows() -> list[dict[str, str]]:
    """Returns the rows of PARITY.md whose first cell is a switch in backticks."""
    rows, header = [], []
    for line in LEDGER.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells and cells[0] == "switch":
            header = cells
        elif header and cells and re.fullmatch(r"`[^`]+`", cells[0]):
            assert len(cells) == len(header), f"row {cells[0]} has {len(cells)} cells, the header {len(header)}"
            rows.append(dict(zip(header, (cell.strip("`") for cell in cells), strict=True)))
    return rows


def value_of(cell: str) -> Any:
    try:
        value = ast.literal_eval(cell)
    except (ValueError, SyntaxError):
        value = cell.strip("'\"")
    return list(value) if isinstance(value, tuple) else value


def values(row: dict[str, str], profile: str) -> dict[str, Any]:
    """Returns config name -> value of the row's switch, for the configs that the row speaks for and that have it."""
    names = fnmatch.filter(NAMES, row["configs"])
    found = {name: flat(as_json(get_config(name, f"profile={profile}"))) for name in names}
    return {name: keys[row["switch"]] for name, keys in found.items() if row["switch"] in keys}


def test_ledger_says_what_the_profiles_set():
    rows = ledger_rows()
    assert rows
    wrong = []
    for row in rows:
        for profile in PROFILES:
            there = values(row, profile)
            if not there:
                wrong.append(f"{row['switch']}: no config has this key")
            expected = value_of(row[profile])
            wrong += [
                f"{row['switch']} in {profile}: the ledger says {expected!r}, configs/{name}.py has {value!r}"
                for name, value in there.items()
                if value != expected
            ]
    assert not wrong, "\n".join(wrong)


def test_ledger_covers_every_switch_that_a_profile_sets():
    rows = ledger_rows()
    for name in NAMES:
        named = {row["switch"] for row in rows if fnmatch.fnmatch(name, row["configs"])}
        default = flat(as_json(get_config(name, "profile=default")))
        for profile in PROFILES:
            other = flat(as_json(get_config(name, f"profile={profile}")))
            differing = {key for key in default if default[key] != other[key]} - {"profile"}
            assert differing <= named, f"PARITY.md lacks {sorted(differing - named)}, which {profile} sets in {name}"


def test_ledger_names_tests_that_exist():
    missing = []
    for row in ledger_rows():
        for place in re.findall(r"[\w/.]+\.py::\w+", row["test"]) or [f"nothing for {row['switch']}"]:
            file, _, name = place.partition("::")
            path = REPOSITORY / file
            if not path.is_file() or not re.search(
                rf"^\s*def {name}\(", path.read_text(encoding="utf-8"), re.MULTILINE
            ):
                missing.append(place)
    assert not missing, f"PARITY.md names tests that are not there: {', '.join(missing)}"
