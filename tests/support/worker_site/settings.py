"""A project with no setting of gearjobs but where its server is: what `INSTALLED_APPS += ["gearjobs"]` alone gives.

The database and the server's address come from the environment, since server, workers and shell are processes.
"""

from __future__ import annotations

import json
import os

SECRET_KEY = "only for tests"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "gearjobs",
    "tests.support.worker_site",
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["WORKER_SITE_DATABASE"],
        "OPTIONS": {"timeout": 20},
    }
}
GEARJOBS = {
    "SERVERS": [os.environ.get("WORKER_SITE_SERVER", "127.0.0.1:4730")],
    # For tests of what may stand there.
    "WORKERS": json.loads(os.environ.get("WORKER_SITE_WORKERS", "{}")),
}
USE_TZ = True
