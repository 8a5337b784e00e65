"""Reads OpenMetrics text from standard input, strictly, and prints what it says as JSON. With the
argument `plain` it reads the text format that came before."""

import json
import sys

from prometheus_client import parser as plain
from prometheus_client.openmetrics import parser as openmetrics

parser = plain if sys.argv[1:] == ["plain"] else openmetrics
families = {}
for family in parser.text_string_to_metric_families(sys.stdin.read()):
    families[family.name] = {
        "type": family.type,
        "unit": family.unit,
        "help": family.documentation,
        "samples": [[s.name, s.labels, s.value] for s in family.samples],
    }
json.dump(families, sys.stdout)
