"""Relate Mail for the tests of other programs: `relate_mail.testing`."""
