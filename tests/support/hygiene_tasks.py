"""Tasks that leave their surroundings in disorder, and one that tells what it finds."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone, translation

from gearjobs import gear_task


@gear_task
def tell_surroundings() -> dict[str, object]:
    connection.ensure_connection()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return {
        "language": translation.get_language(),
        "zone": timezone.get_current_timezone_name(),
        "autocommit": connection.get_autocommit(),
        "atomic": connection.in_atomic_block,
        "queries": len(connection.queries),
    }


@gear_task
def activate_others() -> None:
    translation.activate("de")
    timezone.activate("Asia/Tokyo")


@gear_task
def leave_a_transaction() -> None:
    transaction.set_autocommit(False)
    User.objects.create(username="never committed")


@gear_task
def leave_an_atomic_block() -> None:
    transaction.atomic().__enter__()


@gear_task
def break_the_connection() -> None:
    connection.ensure_connection()
    connection.connection.close()


@gear_task
def make_user(name: str, *, fails: bool = False) -> None:
    with transaction.atomic():
        user = User.objects.create(username=name)
        transaction.on_commit(lambda: User.objects.filter(pk=user.pk).update(first_name="committed"))
        name_user.enqueue(user.pk)
        if fails:
            raise ValueError("rolled back")


@gear_task
def name_user(pk: int) -> str:
    user = User.objects.get(pk=pk)
    user.last_name = "named by a job"
    user.save(update_fields=["last_name"])
    return user.username
