"""A check for Schemathesis: Waybill refuses a request that its OpenAPI document permits only for one of the reasons listed here.

A JSON Schema cannot state everything that the API enforces. Schemathesis' own check of this, `positive_data_acceptance`, can be disabled only for
a whole operation. This check replaces it and excludes single errors: by operation, by pointer or parameter, and by code.
"""

import json
import os
import re
from dataclasses import dataclass

import schemathesis

REFUSED = {400, 405, 413, 415, 422}


@dataclass(frozen=True)
class Reason:
    """Why a schema cannot state a refusal, and which refusals it covers."""

    why: str
    # The code of the error or, if a problem lists no errors, of the problem.
    codes: str
    # The pointer or the parameter of the error: a regular expression for the whole of it.
    where: str = ""
    # The operation: a regular expression for the whole of `METHOD /path`.
    operation: str = ".*"

    def covers(self, operation, code, where):
        return (
            code in self.codes.split()
            and re.fullmatch(self.where, where) is not None
            and re.fullmatch(self.operation, operation) is not None
        )


DESTINATIONS = r"(POST|PATCH) /v1/destinations.*"
SETTINGS = r"PATCH /v1/organization|(POST|PATCH) /v1/organizations.*"

REASONS = [
    Reason("A cursor is signed, for one list and its filters.", "invalid_cursor"),
    Reason("`since` is before `until`.", "out_of_range", r"until|/filter/until"),
    Reason("The time between `since` and `until` has at most 744 buckets.", "out_of_range", "since", "GET /v1/(stats|destinations/.*)"),
    Reason("`reconcile` is for operators.", "invalid_value", "/kind", "POST /v1/jobs"),
    Reason("An organization's key cannot have the role of an operator.", "invalid_value", "/role", "POST /v1/api-keys"),
    Reason("A time must be in the future, and not too far.", "out_of_range", "/expires_at|/messages/[0-9]+/expires_at|/until"),
    Reason("A message needs a destination, and the organization of the run subscribes none.", "no_destinations"),
    Reason("Event types that begin with `waybill.` are reserved.", "reserved", "/event_type|/messages/[0-9]+/event_type"),
    Reason("A destination, an upload or an authorization must exist.", "not_found", ".*_id|.*_ids(/[0-9]+)?"),
    Reason("An object that a message names must exist, in a bucket that the organization may read.", "not_found forbidden invalid_value", "/source.*"),
    # Connections.
    Reason("The connection is checked before anything is saved, and the examples' servers do not exist.", "connection_check_failed"),
    Reason("The connection is checked before anything is saved.", "invalid_value", "/host", "POST /v1/host-keys"),
    Reason("An address must be one that Waybill may connect to.", "blocked_address", r".*/(host|url|endpoint|token_url|authorize_url)"),
    Reason("A host is a domain name (IDNA) or an address.", "invalid_format", r".*/host"),
    Reason("A URL is parsed as browsers parse it, and its scheme is https.", "invalid_format invalid_value", r".*/(url|endpoint|token_url|authorize_url)"),
    # Destinations.
    Reason("A webhook without a secret URL has a `url`.", "required", "/settings/url", DESTINATIONS),
    Reason("Members of settings exclude or require each other: columns and mode, transport and credentials.", "conflict required", "/settings(/.*)?|/credentials(/.*)?", DESTINATIONS),
    Reason("A change of settings has members of the destination's type.", "unknown_field", "/settings/.*", "PATCH /v1/destinations/.*"),
    Reason("A template must compile.", "invalid_format", r"/settings/.*_template", DESTINATIONS),
    Reason("A header has a name that HTTP permits and Waybill does not set itself.", "invalid_format reserved", r"/settings/headers/.*|/credentials/headers/.*", DESTINATIONS),
    Reason("Tags, tables and columns follow the rules of their service.", "invalid_format", r"/settings/(tags|columns|key_columns)/.*|/settings/(table|database)", DESTINATIONS),
    Reason("A mailbox is an address (RFC 5321), or a name and an address in angle brackets.", "invalid_format", r"/settings/(from|to|cc|bcc|reply_to)(/[0-9]+)?", DESTINATIONS),
    Reason("A host key is a public key in OpenSSH's format or a fingerprint.", "invalid_format", r"/settings/host_keys/[0-9]+", DESTINATIONS),
    Reason("Keys, certificates and connection strings are parsed.", "invalid_format", r"/credentials/(private_key|ca_pem|.*certificate.*|client_key|connection_string|json|account_key|passphrase)", DESTINATIONS),
    Reason("ARNs name partitions, regions and accounts.", "invalid_format", r".*/(role_arn|secret_arn|kms_key_id)"),
    Reason("The last character of base64 depends on their number.", "invalid_format", "/secret|/signing_secret|.*/content/base64"),
    Reason("Some kinds of credentials go with some settings only.", "invalid_value", "/credentials/kind", DESTINATIONS),
    # A union would say it; but null of `preset` returns to the formula, and clients of openapi-fetch cannot send members that are always null.
    Reason("A schedule, a preset and the members of the formula exclude each other.", "conflict", r".*/retry_policy/.*"),
    Reason("A schedule has up to 30 retries, the formula up to 20.", "out_of_range", r".*/retry_policy/max_retries"),
    Reason("A failure rate has all its members, unless it changes one that is stored.", "required", r".*/failure_rate/.*"),
    # Organizations.
    Reason("`payload_retention_days` is at most `retention_days`.", "out_of_range", "/settings/payload_retention_days", SETTINGS),
    Reason("An e-mail address is parsed (RFC 5321).", "invalid_format", r"/settings/alert_emails/[0-9]+|/subject/email"),
    # Mailboxes.
    Reason("`custom` has a `token_url` and an `authorize_url`; other providers have their own.", "required invalid_value", "/(token_url|authorize_url)", "POST /v1/oauth2/authorizations"),
    Reason("A mail server is a host with or without a port, and one of the provider's.", "invalid_format", r"/mail_servers/[0-9]+", "POST /v1/oauth2/authorizations"),
]


@schemathesis.check
def refusals_are_listed(_context, response, case):
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code not in REFUSED:
        return
    problem = json.loads(response.content)
    errors = problem["errors"] or [{"code": problem["code"], "detail": problem["detail"]}]
    unlisted, applied = [], set()
    for error in errors:
        where = error.get("pointer") or error.get("parameter") or ""
        reasons = [reason.why for reason in REASONS if reason.covers(case.operation.label, error["code"], where)]
        applied.update(reasons[:1])
        if not reasons:
            unlisted.append(f"{where or 'the request'}: `{error['code']}`, {error['detail']}")
    with open(os.environ["APPLIED"], "a", encoding="utf-8") as log:
        log.writelines(f"{why}\n" for why in sorted(applied))
    assert not unlisted, "The document permits what the API refuses:\n" + "\n".join(unlisted)
