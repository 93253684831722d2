"""Makes the service of an engine that the command line chose. `--set TinyEngine.concurrency=4` reaches the engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headrace.cli.engine_choice import EngineChoice
from headrace.engines.table import find
from headrace.openai.service import serve
from headrace.services.decorators import Bound
from headrace.services.overrides import configured


def load_engine(choice: EngineChoice, assignments: Mapping[str, str]) -> Bound[Any]:
    """The service, bound to a new engine that is not started.

    Args:
        choice: the engine and its model.
        assignments: texts by `Class.parameter`; of the engine's class and of the service's.

    Raises:
        DefinitionError: HR22, a package is missing; HR19, an assignment does not fit.
        SetupError: the model is not there.
    """
    row = find(choice.engine)
    kind = row.load()
    own = {key: text for key, text in assignments.items() if key.partition(".")[0] == kind.__name__}
    engine = configured(Bound(kind, kwargs=row.arguments(choice.model)), own)
    others = {key: text for key, text in assignments.items() if key not in own}
    return configured(serve(kind(*engine.args, **engine.kwargs), temperature=row.temperature), others)
