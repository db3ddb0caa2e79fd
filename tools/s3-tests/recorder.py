"""Writes what became of each test as a line of JSON, with its marks; the suite itself knows nothing of it."""
import json
import os

import pytest


def pytest_configure():
    # Each worker has users of its own: tests that list all buckets of a user would see those of other workers.
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    os.environ["S3TEST_CONF"] = os.path.join(os.environ["RECORDER_CONFIGURATIONS"], worker + ".conf")


def pytest_collection_modifyitems(items):
    for item in items:
        marks = sorted({mark.name for mark in item.iter_markers()})
        item.user_properties.append(("marks", marks))


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report):
    # Workers of a run on several processes send their reports to the one that started them, which alone writes.
    if "PYTEST_XDIST_WORKER" in os.environ:
        return
    if report.when != "call" and report.outcome == "passed":
        return
    message = ""
    if report.outcome == "failed":
        crash = getattr(report.longrepr, "reprcrash", None)
        text = crash.message if crash is not None else str(report.longrepr).strip()
        message = text.splitlines()[0][:300] if text else ""
        if crash is not None and crash.lineno is not None:
            message = "%s [line %d]" % (message, crash.lineno)
    elif report.outcome == "skipped":
        message = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else ""
    line = {
        "file": report.nodeid.split("::")[0].split("/")[-1],
        "name": report.nodeid.split("::")[-1],
        "when": report.when,
        "outcome": report.outcome,
        "message": message,
        "seconds": round(report.duration, 2),
        "marks": dict(report.user_properties).get("marks", []),
    }
    with open(os.environ["RECORDER_FILE"], "a", encoding="utf-8") as record:
        record.write(json.dumps(line) + "\n")
