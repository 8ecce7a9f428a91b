// An OpenID provider for tests, by the certified library `oidc-provider`. Whoever signs in says who they are: `<name>/<role>/<organization>`.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [, , tools, port, secret] = process.argv;
const require = createRequire(`${tools}/`);
const { default: Provider } = await import(pathToFileURL(require.resolve("oidc-provider")));

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: "waybill",
      client_secret: secret,
      // A native client's redirect to the loopback may have any port (RFC 8252, 7.3).
      application_type: "native",
      redirect_uris: ["http://127.0.0.1/oidc/callback"],
      grant_types: ["authorization_code"],
      response_types: ["code"],
    },
  ],
  claims: { openid: ["sub", "waybill_role", "waybill_organization_id"], profile: ["name"], email: ["email"] },
  // As most providers do, the claims stand in the ID token.
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  findAccount: (_, id) => {
    const [name, role, organization] = id.split("/");
    const claims = { sub: id, name, email: `${name.toLowerCase()}@example.com`, waybill_role: role, waybill_organization_id: organization };
    return { accountId: id, claims: () => claims };
  },
});
provider.listen(Number(port), "127.0.0.1", () => console.log("listening"));
