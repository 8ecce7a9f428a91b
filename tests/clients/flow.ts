// A flow of the TypeScript client whose types are generated from the OpenAPI document. tests/e2e/clients.rs type-checks and runs it.
// The receiver refuses the first delivery and accepts the next.

import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Schemas = components["schemas"];

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

const client = createClient<paths>({
  baseUrl: setting("WAYBILL_URL"),
  headers: { authorization: `Bearer ${setting("WAYBILL_KEY")}` },
});

function ok<T>(answer: { data?: T; error?: unknown; response: Response }): T {
  if (answer.data === undefined) throw new Error(`${answer.response.status}: ${JSON.stringify(answer.error)}`);
  return answer.data;
}

async function waitFor<T>(what: string, read: () => Promise<T | undefined>): Promise<T> {
  for (let attempt = 0; attempt < 300; attempt += 1) {
    const found = await read();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`not within 30 seconds: ${what}`);
}

function expect(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

const password = "a-password";
const bodies: Schemas["CreateDestination"][] = [
  {
    type: "webhook",
    name: "From TypeScript",
    settings: { url: setting("RECEIVER_URL") },
    credentials: { kind: "api_key", header: "x-api-key", value: "a-key-of-the-receiver" },
    retry_policy: { max_retries: 0 },
  },
  {
    type: "email",
    name: "Mail",
    settings: {
      transport: { smtp: { host: "127.0.0.1", port: 2525, security: "none" } },
      from: "reports@example.com",
      to: ["ada@example.com"],
    },
    credentials: { kind: "smtp_password", username: "u", password },
  },
  {
    type: "s3",
    name: "Bucket",
    settings: { bucket: "reports", endpoint: "http://127.0.0.1:9" },
    credentials: { kind: "access_key", access_key_id: "id", secret_access_key: "secret" },
  },
  {
    type: "gcs",
    name: "Bucket",
    settings: { bucket: "reports" },
    credentials: {
      kind: "service_account",
      json: {
        type: "service_account",
        client_email: "w@acme.iam.gserviceaccount.com",
        private_key: setting("SERVICE_ACCOUNT_PRIVATE_KEY"),
        private_key_id: "k",
        project_id: "acme",
      },
    },
  },
  {
    type: "azure_blob",
    name: "Container",
    settings: { account: "acme", container: "reports" },
    credentials: { kind: "account_key", account_key: "AAAA" },
  },
  {
    type: "sftp",
    name: "Directory",
    settings: { host: "127.0.0.1", username: "u", host_keys: ["SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"] },
    credentials: { kind: "password", password },
  },
  {
    type: "postgres",
    name: "Table",
    settings: { host: "127.0.0.1", database: "app", table: "public.events" },
    credentials: { kind: "password", username: "u", password },
  },
  {
    type: "mysql",
    name: "Table",
    settings: { host: "127.0.0.1", database: "app", table: "events" },
    credentials: { kind: "password", username: "u", password },
  },
];

const created: Schemas["NewDestination"][] = [];
for (const body of bodies) {
  created.push(ok(await client.POST("/v1/destinations", { params: { query: { skip_check: true } }, body })));
}
const webhook = created[0];
expect(webhook !== undefined && webhook.type === "webhook", "the first destination is the webhook");
expect(webhook.signing_secret?.startsWith("whsec_") === true, "its signing secret is shown");
expect(webhook.credentials.kind === "api_key" && webhook.credentials.value?.hint === "…iver", "its secret is masked");

const message = ok(
  await client.POST("/v1/messages", {
    params: { header: { "Idempotency-Key": `typescript-${webhook.id}` } },
    body: { event_type: "report.ready", payload: { report: 42 }, destination_ids: [webhook.id] },
  }),
);
await waitFor("the message fails", async () => {
  const now = ok(await client.GET("/v1/messages/{id}", { params: { path: { id: message.id } } }));
  return now.status === "failed" ? now : undefined;
});

const failed = ok(
  await client.GET("/v1/deliveries", { params: { query: { destination_id: webhook.id, status: ["failed"] } } }),
);
const id = failed.data[0]?.id;
expect(id !== undefined && failed.data.length === 1, "one delivery failed");
const read = async () => ok(await client.GET("/v1/deliveries/{id}", { params: { path: { id } } }));
const delivery = await read();
expect(delivery.reason === "server_error" && delivery.exhausted, "the receiver's error is its reason");
expect(delivery.attempts[0]?.response?.status === 500, "the response is recorded");

ok(await client.POST("/v1/deliveries/{id}/retry", { params: { path: { id } } }));
const succeeded = await waitFor("the delivery succeeds", async () => {
  const now = await read();
  return now.status === "succeeded" ? now : undefined;
});
expect(succeeded.tracking?.kind === "http_response" && succeeded.tracking.status === 204, "the receipt is typed by its kind");

const job = ok(await client.POST("/v1/jobs", { body: { kind: "retry", filter: { destination_id: webhook.id } } }));
expect("id" in job, "the job is accepted");
await waitFor("the job finishes", async () => {
  const now = ok(await client.GET("/v1/jobs/{id}", { params: { path: { id: job.id } } }));
  return now.status === "finished" ? now : undefined;
});

const rotated = ok(
  await client.POST("/v1/destinations/{id}/rotate-secret", {
    params: { path: { id: webhook.id } },
    body: { overlap_seconds: 0 },
  }),
);
expect(rotated.signing_secret?.startsWith("whsec_") === true, "a secret is generated");
console.log("complete");
