"""A flow of the Python client that is generated from the OpenAPI document.

Called by tests/e2e/clients.rs with the generated package on the path. The receiver refuses the first delivery and accepts the next.
"""

import os
import time

from waybill_client import AuthenticatedClient
from waybill_client import models
from waybill_client.api.deliveries import get_delivery, list_deliveries, retry_delivery
from waybill_client.api.destinations import create_destination, list_destinations, rotate_secret
from waybill_client.api.jobs import create_job, get_job
from waybill_client.api.messages import get_message, submit_message

client = AuthenticatedClient(base_url=os.environ["WAYBILL_URL"], token=os.environ["WAYBILL_KEY"])


def wait_for(what, read):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = read()
        if found is not None:
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within 30 seconds: {what}")


def created(body):
    destination = create_destination.sync(client=client, body=body, skip_check=True)
    assert not isinstance(destination, models.Problem), destination
    return destination


webhook = created(
    models.CreateWebhookDestination(
        type_="webhook",
        name="From Python",
        settings=models.WebhookSettings(url=os.environ["RECEIVER_URL"]),
        credentials=models.WebhookBearerCredentials(kind="bearer", token="a-token-of-the-receiver"),
        retry_policy=models.RetryPolicyInput(max_retries=0),
    )
)
assert isinstance(webhook, models.NewWebhookDestination), webhook
assert webhook.signing_secret.startswith("whsec_"), webhook
assert isinstance(webhook.credentials, models.WebhookBearerCredentialsView), webhook.credentials
assert webhook.credentials.token.hint == "…iver", webhook.credentials

fingerprint = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"
others = [
    models.CreateEmailDestination(
        type_="email",
        name="Mail",
        settings=models.EmailSettings.from_dict(
            {
                "transport": {"smtp": {"host": "127.0.0.1", "port": 2525, "security": "none"}},
                "from": "reports@example.com",
                "to": ["ada@example.com"],
            }
        ),
        credentials=models.EmailSmtpPasswordCredentials(kind="smtp_password", username="u", password="p"),
    ),
    models.CreateS3Destination(
        type_="s3",
        name="Bucket",
        settings=models.S3Settings(bucket="reports", endpoint="http://127.0.0.1:9"),
        credentials=models.S3AccessKeyCredentials(kind="access_key", access_key_id="id", secret_access_key="secret"),
    ),
    models.CreateAzureBlobDestination(
        type_="azure_blob",
        name="Container",
        settings=models.AzureBlobSettings(account="acme", container="reports"),
        credentials=models.AzureBlobAccountKeyCredentials(kind="account_key", account_key="AAAA"),
    ),
    models.CreateSftpDestination(
        type_="sftp",
        name="Directory",
        settings=models.SftpSettings(host="127.0.0.1", username="u", host_keys=[fingerprint]),
        credentials=models.SftpPasswordCredentials(kind="password", password="p"),
    ),
    models.CreatePostgresDestination(
        type_="postgres",
        name="Table",
        settings=models.PostgresSettings(host="127.0.0.1", database="app", table="public.events"),
        credentials=models.PostgresPasswordCredentials(kind="password", username="u", password="p"),
    ),
    models.CreateMysqlDestination(
        type_="mysql",
        name="Table",
        settings=models.MysqlSettings(host="127.0.0.1", database="app", table="events"),
        credentials=models.MysqlPasswordCredentials(kind="password", username="u", password="p"),
    ),
    models.CreateGcsDestination(
        type_="gcs",
        name="Bucket",
        settings=models.GcsSettings(bucket="reports"),
        credentials=models.GcsServiceAccountCredentials(
            kind="service_account",
            json=models.ServiceAccountKey(
                type_="service_account",
                client_email="w@acme.iam.gserviceaccount.com",
                private_key=os.environ["SERVICE_ACCOUNT_PRIVATE_KEY"],
                private_key_id="k",
                project_id="acme",
            ),
        ),
    ),
]
for body in others:
    destination = created(body)
    assert destination.type_ == body.type_, destination
listed = list_destinations.sync(client=client, limit=100)
types = {type(destination).__name__ for destination in listed.data}
assert len(types) == 8, types

submission = models.SubmitPayloadMessage(event_type="report.ready", payload={"report": 42}, destination_ids=[webhook.id])
message = submit_message.sync(client=client, body=submission, idempotency_key=f"python-{webhook.id}")
assert isinstance(message, models.Message), message
wait_for("the message fails", lambda: get_message.sync(message.id, client=client).status == "failed" or None)

failed = list_deliveries.sync(client=client, destination_id=webhook.id, status=["failed"])
assert [one.message_id for one in failed.data] == [message.id], failed
delivery = get_delivery.sync(failed.data[0].id, client=client)
assert (delivery.reason, delivery.exhausted) == ("server_error", True), delivery
assert delivery.attempts[0].response.status == 500, delivery.attempts

retried = retry_delivery.sync(delivery.id, client=client)
assert isinstance(retried, models.Delivery), retried
succeeded = wait_for(
    "the delivery succeeds",
    lambda: (one := get_delivery.sync(delivery.id, client=client)).status == "succeeded" and one or None,
)
assert isinstance(succeeded.tracking, models.HttpResponseTracking) and succeeded.tracking.status == 204, succeeded

job = create_job.sync(client=client, body=models.CreateRetryJob(kind="retry", filter_=models.JobFilter(destination_id=webhook.id)))
assert isinstance(job, models.Job), job
wait_for("the job finishes", lambda: get_job.sync(job.id, client=client).status == "finished" or None)

rotated = rotate_secret.sync(webhook.id, client=client, body=models.RotateSecret(overlap_seconds=0))
assert rotated.signing_secret.startswith("whsec_") and rotated.signing_secret != webhook.signing_secret
print("complete")
