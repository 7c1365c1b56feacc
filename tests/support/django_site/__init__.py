"""A Django project of one app: a shop, on SQLite and on PostgreSQL."""

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="for tests",
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "django.contrib.sessions",
        "django_site",
    ],
    # Names and hosts are set by the tests, to what they start.
    DATABASES={
        "default": {"ENGINE": "django.db.backends.sqlite3"},
        "postgresql": {"ENGINE": "django.db.backends.postgresql"},
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    USE_TZ=True,
    LANGUAGE_CODE="en",
    REST_FRAMEWORK={"DEFAULT_AUTHENTICATION_CLASSES": [], "UNAUTHENTICATED_USER": None},
)
django.setup()
