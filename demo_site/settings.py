"""Settings of the demo site.

Everything the site writes lives under `var/` (DEMO_VAR moves it): the SQLite database, the uploaded pictures, the
secret key. DATABASE_URL chooses another database, GEARJOBS_SERVERS other job servers, DEBUG=1 turns debugging on,
ALLOWED_HOSTS adds names under which the site may be called.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from pathlib import Path

import dj_database_url

from demo_site.kept_secrets import kept_secret

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(os.environ.get("DEMO_VAR") or BASE_DIR / "var").resolve()
VAR_DIR.mkdir(parents=True, exist_ok=True)

SECRET_KEY = os.environ.get("SECRET_KEY") or kept_secret(VAR_DIR / "secret_key", random_bytes=48)
DEBUG = os.environ.get("DEBUG", "") in {"1", "true", "yes", "on"}
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]", *filter(None, os.environ.get("ALLOWED_HOSTS", "").split(","))]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "gearjobs",
    "demo_site.album",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    # Serves the style sheets and scripts: gunicorn has no file server of its own.
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    # Remembers who is asking, so that a job knows who enqueued it.
    "gearjobs.middleware.SubmitterMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "demo_site.urls"
WSGI_APPLICATION = "demo_site.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {
    "default": dj_database_url.config(
        default=f"sqlite:///{VAR_DIR / 'db.sqlite3'}", conn_max_age=60, conn_health_checks=True
    )
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        # A transaction takes the write lock when it begins: it waits for its turn, and never fails half-way.
        "transaction_mode": "IMMEDIATE",
        # Seconds to wait for that turn.
        "timeout": 20,
        # Readers and the writer do not hold each other up.
        "init_command": "PRAGMA journal_mode=WAL",
    }
elif DATABASES["default"]["ENGINE"] == "django.db.backends.mysql" and importlib.util.find_spec("MySQLdb") is None:
    # PyMySQL stands in for mysqlclient, which needs a compiler to install.
    importlib.import_module("pymysql").install_as_MySQLdb()
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

GEARJOBS = {"SERVERS": (os.environ.get("GEARJOBS_SERVERS") or "127.0.0.1:4730").split(",")}

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
# The sample photographs, for the first page.
STATICFILES_DIRS = [("photos", BASE_DIR / "demo_site" / "photos")]
# The apps' own folders are served as they are: a demo needs no collectstatic.
WHITENOISE_USE_FINDERS = True
MEDIA_ROOT = VAR_DIR / "media"

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "album_list"
LOGOUT_REDIRECT_URL = "login"

X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_NAME = "gearjobs_demo_session"
CSRF_COOKIE_NAME = "gearjobs_demo_csrf"
