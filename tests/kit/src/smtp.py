# A mail server that keeps what it takes: prints its port, then a line of JSON for each mail; ends when standard input does.
# What it does with a mail, the recipient's local part says: reject, busy, slow, drop; anything else is taken.
import asyncio, base64, json, ssl, sys
from aiosmtpd.smtp import SMTP, AuthResult

security, certificate, key = sys.argv[1:4]

def allowed(server, session, envelope, mechanism, data):
    known = (getattr(data, "login", None), getattr(data, "password", None)) == (b"mailer", b"right horse battery")
    return AuthResult(success=known, handled=False)

class Handler:
    async def auth_XOAUTH2(self, server, args):
        text = base64.b64decode(args[1]).decode()
        if "auth=Bearer good-token\x01" in text:
            return AuthResult(success=True, auth_data=text)
        await server.push("535 5.7.8 the token is not valid")
        return AuthResult(success=False, handled=True)

    async def handle_RCPT(self, server, session, envelope, address, options):
        local = address.split("@")[0]
        if local == "reject": return "550 5.1.1 no such mailbox"
        if local == "busy": return "451 4.3.0 try again later"
        if local == "slow": await asyncio.sleep(60)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if any(address.startswith("drop@") for address in envelope.rcpt_tos):
            server.transport.close()
            return "421 gone"
        print(json.dumps({"from": envelope.mail_from, "to": envelope.rcpt_tos, "tls": server.transport.get_extra_info("ssl_object") is not None,
                          "mail": base64.b64encode(envelope.original_content).decode()}), flush=True)
        return "250 2.0.0 OK: queued as 4F1B2C"

def context():
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate, key)
    return made

async def main():
    tls = context() if security != "none" else None
    def factory():
        return SMTP(Handler(), hostname="mail.test", authenticator=allowed, auth_required=True, auth_require_tls=False, data_size_limit=40_000_000,
                    tls_context=tls if security == "starttls" else None, require_starttls=security == "starttls")
    loop = asyncio.get_running_loop()
    server = await loop.create_server(factory, "127.0.0.1", 0, ssl=tls if security == "tls" else None)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)

asyncio.run(main())
