"""The one exception for what a user can mend."""


class UserError(Exception):
    """One sentence: the rule, the value found, the remedy. Printed on stderr by the commands."""

    exit_code = 1
