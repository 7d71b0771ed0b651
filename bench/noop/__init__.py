"""A job that does nothing, in every library that runs tasks for Django, and the program that asks for such jobs."""
