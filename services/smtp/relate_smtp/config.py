"""Limits on refused commands. The settings `Smtp__…` are in `relate_submission.config`: the API sends by them, too."""

from relate_wire.refusals import RefusalLimits

# Like Postfix's smtpd_soft_error_limit, smtpd_hard_error_limit, smtpd_error_sleep_time and smtpd_junk_command_limit.
# They throttle directory harvest attacks (RFC 5321 §7.3).
REFUSAL_LIMITS = RefusalLimits(
    hard=20,
    soft=10,
    delay_seconds=1.0,
    junk=100,
    junk_verbs=frozenset({"NOOP", "RSET", "VRFY", "EXPN", "HELP"}),
    reset_by_progress_only=True,
)
