"""An SFTP server (version 3) that answers as odd servers do. Arguments: a folder, the account's name and
password, and the oddities, separated by commas. Prints its port and its host key, and ends with its input."""

import asyncio
import os
import struct
import sys

import asyncssh

FOLDER, USERNAME, PASSWORD, ODD = sys.argv[1], sys.argv[2], sys.argv[3], set(sys.argv[4].split(","))
VERSION, OPEN, CLOSE, READ, WRITE, LSTAT, FSTAT = 2, 3, 4, 5, 6, 7, 8
REMOVE, MKDIR, RMDIR, STAT, RENAME, EXTENDED = 13, 14, 15, 17, 18, 200
STATUS, HANDLE, DATA, ATTRS = 101, 102, 103, 105
OK, EOF, NO_SUCH_FILE, PERMISSION_DENIED, FAILURE, OP_UNSUPPORTED = 0, 1, 2, 3, 4, 8
NO_SUCH_PATH, ALREADY_EXISTS, QUOTA_EXCEEDED = 10, 11, 15
POSIX_RENAME, HARDLINK = b"posix-rename@openssh.com", b"hardlink@openssh.com"


def text(value):
    return struct.pack(">I", len(value)) + value


class Refused(Exception):
    def __init__(self, code, message=b""):
        super().__init__(code)
        self.code, self.message = code, message


class Reader:
    def __init__(self, body):
        self.body = body

    def number(self, form=">I"):
        size = struct.calcsize(form)
        value, self.body = struct.unpack(form, self.body[:size])[0], self.body[size:]
        return value

    def text(self):
        size = self.number()
        value, self.body = self.body[:size], self.body[size:]
        return value

    def path(self):
        return os.path.join(FOLDER, self.text().decode().lstrip("/"))


class Session:
    def __init__(self):
        self.handles = {}

    def status(self, request, code, message=b""):
        body = struct.pack(">II", request, code)
        if "no-message" not in ODD:
            body += text(message)
            if "no-tag" not in ODD:
                body += text(b"en")
        return bytes([STATUS]) + body

    def answer(self, kind, reader):
        if kind == 1:
            extension = text(POSIX_RENAME) + text(b"1") if "posix-rename-unsupported" in ODD else b""
            if ODD & {"hardlink", "hardlink-unsupported", "hardlink-refused"}:
                extension += text(HARDLINK) + text(b"1")
            return bytes([VERSION]) + struct.pack(">I", 3) + extension
        request = reader.number()
        try:
            return self.act(kind, request, reader) or self.status(request, OK)
        except Refused as refused:
            return self.status(request, refused.code, refused.message)
        except FileNotFoundError:
            code = NO_SUCH_PATH if "later-codes" in ODD else NO_SUCH_FILE
            return self.status(request, FAILURE if "failure-for-missing" in ODD else code)
        except FileExistsError:
            return self.status(request, ALREADY_EXISTS if "later-codes" in ODD else FAILURE)
        except OSError as error:
            return self.status(request, FAILURE, error.strerror.encode())

    def act(self, kind, request, reader):
        if kind == OPEN:
            path, flags = reader.path(), reader.number()
            if "read-refused" in ODD and not flags & 2:
                raise Refused(PERMISSION_DENIED)
            if "read-unsupported" in ODD and not flags & 2:
                raise Refused(OP_UNSUPPORTED)
            wanted = os.O_RDWR | os.O_CREAT if flags & 2 else os.O_RDONLY
            name = b"%d" % os.open(path, wanted, 0o644)
            self.handles[name] = path
            return bytes([HANDLE]) + struct.pack(">I", request) + text(name)
        if kind == CLOSE:
            os.close(self.take(reader.text()))
        elif kind == READ:
            handle, offset, size = int(reader.text()), reader.number(">Q"), reader.number()
            data = os.pread(handle, size, offset)
            if not data:
                raise Refused(EOF)
            return bytes([DATA]) + struct.pack(">I", request) + text(data)
        elif kind == WRITE:
            self.write(request, reader)
            if "broken-status" in ODD:
                return bytes([STATUS, 0])
        elif kind == FSTAT:
            return self.fstat(request, int(reader.text()))
        elif kind in (STAT, LSTAT):
            if "stat-unsupported" in ODD:
                raise Refused(OP_UNSUPPORTED)
            return self.attributes(request, os.stat(reader.path()))
        else:
            self.change(kind, reader)
        return None

    def take(self, name):
        self.handles.pop(name)
        return int(name)

    def write(self, request, reader):
        handle, offset, data = int(reader.text()), reader.number(">Q"), reader.text()
        if "no-space" in ODD:
            raise Refused(FAILURE, b"No space left on device")
        if "quota" in ODD:
            raise Refused(QUOTA_EXCEEDED)
        if "unknown-code" in ODD:
            raise Refused(4711, b"the moon is full")
        os.pwrite(handle, data[:-1] if "loses-a-byte" in ODD else data, offset)

    def fstat(self, request, handle):
        for odd, code in {"fstat-unsupported": OP_UNSUPPORTED, "fstat-missing": NO_SUCH_FILE, "fstat-failure": FAILURE}.items():
            if odd in ODD:
                raise Refused(code)
        return self.attributes(request, os.fstat(handle), 0 if "fstat-zero" in ODD else None)

    def attributes(self, request, found, size=None):
        size = found.st_size if size is None else size
        if "size-missing" in ODD:
            return bytes([ATTRS]) + struct.pack(">III", request, 4, found.st_mode)
        return bytes([ATTRS]) + struct.pack(">IIQI", request, 5, size, found.st_mode)

    def change(self, kind, reader):
        if kind == REMOVE:
            if "remove-refused" in ODD:
                raise Refused(PERMISSION_DENIED)
            os.remove(reader.path())
        elif kind == MKDIR:
            if "mkdir-refused" in ODD:
                raise Refused(PERMISSION_DENIED)
            os.mkdir(reader.path())
        elif kind == RMDIR:
            if "remove-refused" in ODD:
                raise Refused(PERMISSION_DENIED)
            os.rmdir(reader.path())
        elif kind == RENAME:
            old, new = reader.path(), reader.path()
            if "rename-refused" in ODD or ("part-rename-refused" in ODD and old.endswith(".part")):
                raise Refused(PERMISSION_DENIED)
            if "appears-at-rename" in ODD and old.endswith(".part"):
                with open(new, "x") as appeared:
                    appeared.write("theirs")
            if os.path.exists(new) and "rename-replaces" not in ODD:
                raise FileExistsError
            os.replace(old, new)
        elif kind == EXTENDED and reader.text() == HARDLINK and "hardlink-unsupported" not in ODD:
            if "hardlink-refused" in ODD:
                raise Refused(PERMISSION_DENIED)
            os.link(reader.path(), reader.path())
        else:
            raise Refused(OP_UNSUPPORTED)


class Subsystem(asyncssh.SSHServerSession):
    def __init__(self):
        self.session, self.received = Session(), b""

    def connection_made(self, chan):
        self.chan = chan

    def subsystem_requested(self, subsystem):
        return subsystem == "sftp"

    def data_received(self, data, datatype):
        self.received += data
        while len(self.received) >= 4:
            end = 4 + struct.unpack(">I", self.received[:4])[0]
            if len(self.received) < end:
                return
            packet, self.received = self.received[4:end], self.received[end:]
            answer = self.session.answer(packet[0], Reader(packet[1:]))
            self.chan.write(struct.pack(">I", len(answer)) + answer)


class Account(asyncssh.SSHServer):
    def begin_auth(self, username):
        return True

    def session_requested(self):
        return Subsystem()

    def password_auth_supported(self):
        return True

    def validate_password(self, username, password):
        return (username, password) == (USERNAME, PASSWORD)


async def main():
    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.listen("127.0.0.1", 0, server_factory=Account, server_host_keys=[key], encoding=None)
    print(server.get_port(), key.export_public_key().decode().strip(), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(0)


asyncio.run(main())
