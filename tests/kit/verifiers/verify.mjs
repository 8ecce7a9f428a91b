// Checks signatures with the official library, found in the directory given.
// In: JSON lines {secret, headers, body_base64}. Out: a line each, "ok" or "error: why".

import { createRequire } from "node:module";
import { resolve } from "node:path";
import { createInterface } from "node:readline";

const { Webhook } = createRequire(resolve(process.argv[2]) + "/")("standardwebhooks");

for await (const line of createInterface({ input: process.stdin })) {
  const { secret, headers, body_base64 } = JSON.parse(line);
  try {
    new Webhook(secret).verify(Buffer.from(body_base64, "base64"), headers, { jsonParse: false });
    console.log("ok");
  } catch (error) {
    console.log("error: " + String(error.message).replace(/\s+/g, " "));
  }
}
