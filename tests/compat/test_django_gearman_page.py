"""docs/migrate-from-django-gearman.md by the letter: a project with its modules, and an old client beside it.

The old client does what django-gearman 0.2 does: it pickles `{"args": [...], "kwargs": {...}}` for functions whose
names begin with a checksum of a directory.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator
from typing import Any
from zlib import adler32

import pytest

from gearjobs.compat import gearman
from tests.support.documented_shop import Page, ShopSite, running_shop
from tests.support.eventually import eventually
from tests.support.job_server import ROOT

pytestmark = pytest.mark.slow

PAGE = Page("migrate-from-django-gearman.md")
COMMAND = re.compile(r"```python\n# shop/management/commands/old_jobs\.py\n(?P<code>.*?)```", re.DOTALL)
OLD_DIRECTORY = "/srv/old-site"
SOON_S = 20.0


class OldEncoder(gearman.DataEncoder):
    @classmethod
    def encode(cls, encodable_object: Any) -> bytes:
        # Python 2's default.
        return pickle.dumps(encodable_object, protocol=0)

    @classmethod
    def decode(cls, decodable_string: bytes) -> Any:
        return pickle.loads(decodable_string)


class OldClient(gearman.GearmanClient):
    data_encoder = OldEncoder


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShopSite]:
    directory = tmp_path_factory.mktemp("shop")
    with running_shop(directory, PAGE) as site:
        commands = directory / "shop" / "management" / "commands"
        commands.mkdir(parents=True)
        found = COMMAND.search((ROOT / "docs" / "migrate-from-django-gearman.md").read_text(encoding="utf-8"))
        assert found, "the page has no command old_jobs any more"
        (commands / "old_jobs.py").write_text(found["code"], encoding="utf-8")
        yield site


def test_calls_of_the_page_give_what_it_promises(site: ShopSite):
    (session,) = [session for session in PAGE.sessions if session.startswith("from shop.tasks")]

    site.check_session(session)


def test_jobs_of_the_old_site_are_run_by_the_new_code(site: ShopSite):
    prefix = adler32(OLD_DIRECTORY.encode()) & 0xFFFFFFFF
    site.start(["old_jobs", OLD_DIRECTORY])
    admin = gearman.GearmanAdminClient([site.address])
    eventually(
        lambda: any(f"{prefix}.shop.resize" in line["tasks"] for line in admin.get_workers()), SOON_S, "the old worker"
    )

    call = {"args": ["a.jpg"], "kwargs": {"width": 7}}
    request = OldClient([site.address]).submit_job(f"{prefix}.shop.resize", call, poll_timeout=SOON_S)

    assert request.result == ["a.jpg", 7]


def test_commands_that_the_page_names_have_the_flags_it_names(site: ShopSite):
    checked = site.manage(["runworkers", "--check", "--queue-name", "mail", "--processes", "5"])

    assert checked.returncode == 0, checked.stderr
    assert "shop.tasks.greet" in checked.stdout
