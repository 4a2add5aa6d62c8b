"""Lines, base64, Ed25519, the tree, the pinned key and signed notes, for verify_bundle.py: docs/formats/checkpoint.md."""
import base64
import hashlib
import re

MAX_LINE, MAX_SIGNATURES = 200_000, 32
NUMBER = rb"(0|[1-9][0-9]{0,14})"
ORIGIN = re.compile(r"[A-Za-z0-9._:/-]{1,200}")
# ECMAScript's \s, which is not Python's: Python counts U+001C to U+001F and U+0085 in and U+FEFF out.
SPACE = "\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
SIGNATURE = re.compile("\u2014 ([^+" + SPACE + "]{1,200}) ([A-Za-z0-9+/]+={0,2})")


class Deviation(Exception):
    """Where a bundle is not what the paper says; `incomplete` when it ends early."""

    def __init__(self, detail, line, index=None, state="failed"):
        super().__init__(detail)
        self.state, self.detail, self.line, self.index = state, detail, line, index


class WrongQuestion(Exception):
    """No such file, no usable pinned key, no usable earlier checkpoint."""


def decoded(lines, text, index=None):
    try:
        return unbase64(text)
    except ValueError:
        raise Deviation("this is not canonical base64", lines.number, index) from None


class Lines:
    """The lines of a file, one after the other, and SHA-256 over those that were read as bound."""

    def __init__(self, file):
        self.file, self.number, self.digest = file, 0, hashlib.sha256()
        self.ahead = self.newest = None

    def peek(self):
        if self.ahead is None:
            self.ahead = self.file.readline(MAX_LINE + 1)
        return self.ahead

    def at_end(self):
        return self.peek() == b""

    def next(self, index=None, part="a line", bound=True):
        """The next line without its LF, or a Deviation."""
        line, self.ahead = self.peek(), None
        self.number += 1
        self.newest = line
        if line[-1:] != b"\n":
            if len(line) > MAX_LINE:
                raise Deviation("the line is longer than 200,000 bytes", self.number, index)
            raise Deviation(f"the file ends where {part} should be, or within it", self.number, index, "incomplete")
        if bound:
            self.digest.update(line)
        return line[:-1]

    def rest(self):
        """The newest line and those that follow it, without their LFs, as far as there are lines."""
        line = self.newest
        while line[-1:] == b"\n":
            yield line[:-1]
            line, self.ahead = self.peek(), None


# Ed25519, RFC 8032 sections 5.1 and 6: points in extended coordinates (X, Y, Z, T) with x = X/Z, y = Y/Z, x * y = T/Z.
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
NEUTRAL = (0, 1, 1, 0)


def add(one, two):
    a, b = (one[1] - one[0]) * (two[1] - two[0]) % P, (one[1] + one[0]) * (two[1] + two[0]) % P
    c, d = 2 * one[3] * two[3] * D % P, 2 * one[2] * two[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def double(one):
    a, b, c = one[0] * one[0] % P, one[1] * one[1] % P, 2 * one[2] * one[2] % P
    h, g = a + b, a - b
    e, f = h - (one[0] + one[1]) ** 2 % P, c + g
    return e * f % P, g * h % P, f * g % P, e * h % P


def sum_of(s, one, k, two):
    """[s]one + [k]two, bit by bit for both at once."""
    total, choices = NEUTRAL, (None, one, two, add(one, two))
    for bit in range(max(s.bit_length(), k.bit_length()) - 1, -1, -1):
        total, choice = double(total), choices[(s >> bit & 1) + 2 * (k >> bit & 1)]
        total = total if choice is None else add(total, choice)
    return total


def decode_point(raw):
    """The point that 32 bytes encode; None for an encoding that section 5.1.3 refuses."""
    y, sign = int.from_bytes(raw, "little") & (2**255 - 1), raw[31] >> 7
    if len(raw) != 32 or y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    if x * x % P != square or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


BASE = decode_point(bytes.fromhex("58" + "66" * 31))


def verify_ed25519(public_key, message, signature):
    if len(signature) != 64:
        return False
    key, r, s = decode_point(public_key), decode_point(signature[:32]), int.from_bytes(signature[32:], "little")
    if key is None or r is None or s >= L:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public_key + message).digest(), "little") % L
    # [S]B - [k]A = R, without the cofactor: section 5.1.7 allows it, and it is the stricter of the two.
    x, y, z, _ = sum_of(s, BASE, k, (P - key[0], key[1], 1, P - key[3]))
    return (x - r[0] * z) % P == 0 == (y - r[1] * z) % P


def unbase64(text, url=False):
    """What base64 encodes; ValueError unless the text is the encoding of what it decodes to."""
    text = text.encode("ascii") if isinstance(text, str) else text
    if url:
        raw = base64.b64decode(text + b"=" * (-len(text) % 4), b"-_", validate=True)
        again = base64.urlsafe_b64encode(raw).rstrip(b"=")
    else:
        raw = base64.b64decode(text, validate=True)
        again = base64.b64encode(raw)
    if again != text:
        raise ValueError("base64 that is not canonical")
    return raw


# The tree, RFC 6962 section 2.1, from perfect subtrees that stand side by side.
def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


class Range:
    """The roots of the fewest perfect subtrees over the first entries; grows on the right."""

    def __init__(self):
        self.roots, self.covered = [], 0

    def push(self, height, root):
        self.covered += 1 << height
        while self.roots and self.roots[-1][0] == height:
            root, height = node(self.roots.pop()[1], root), height + 1
        self.roots.append((height, root))

    def root(self):
        if not self.roots:
            return hashlib.sha256().digest()
        total = self.roots[-1][1]
        for _, root in reversed(self.roots[:-1]):
            total = node(root, total)
        return total


def full_root(hashes):
    while len(hashes) > 1:
        hashes = [node(hashes[at], hashes[at + 1]) for at in range(0, len(hashes), 2)]
    return hashes[0]


# The pinned key and signed notes, checkpoint.md.
class PinnedKey:
    def __init__(self, text):
        match = re.fullmatch(r"([^+]*)\+([0-9a-f]{8})\+([A-Za-z0-9+/]{44})", text)
        if match is None or ORIGIN.fullmatch(match[1]) is None:
            raise WrongQuestion("this is not the verifier key of a log")
        try:
            raw = unbase64(match[3])
        except ValueError:
            raise WrongQuestion("the verifier key is not canonical base64") from None
        self.origin, self.public_key, self.id = match[1], raw[1:], bytes.fromhex(match[2])
        wanted = hashlib.sha256(self.origin.encode() + b"\n" + raw).digest()[:4]
        if raw[0] != 1 or self.id != wanted:
            raise WrongQuestion("the verifier key is no Ed25519 key, or does not fit its own id")


def parse_signature(line):
    """Key name, and key id with signature; ValueError when the line has another form."""
    match = SIGNATURE.fullmatch(line.decode("utf-8"))
    raw = b"" if match is None else unbase64(match[2])
    if len(raw) < 5:
        raise ValueError("not a signature line")
    return match[1], raw


def signature_fault(text, lines, pinned):
    """Place among the signature lines of the one that spoils a note; None when the pinned key stands for it."""
    signed, alike = False, 0
    for nth, line in enumerate(lines):
        try:
            name, raw = parse_signature(line)
        except ValueError:
            return nth
        same_name, same_id = name == pinned.origin, raw[:4] == pinned.id
        if same_name and same_id:
            if not verify_ed25519(pinned.public_key, text, raw[4:]):
                return nth
            signed = True
        alike = nth if same_name or same_id else alike
    return None if signed else alike


def note_text(origin, size, root):
    return b"%b\n%d\n%b\n" % (origin.encode(), size, base64.b64encode(root))


class Checkpoint:
    """A note as it stands in a file; `fault` is where it is not one that the pinned key stands for, from 0 on."""

    def __init__(self, lines, pinned):
        self.text = [lines.next(part=part) for part in ("the origin", "the size", "the root", "an empty line")]
        self.signatures = []
        while lines.peek().startswith("\u2014 ".encode()):
            if len(self.signatures) == MAX_SIGNATURES:
                raise Deviation("there are more than 32 signature lines", lines.number + 1)
            self.signatures.append(lines.next(part="a signature line"))
        self.size = self.root = None
        self.fault = self.find_fault(pinned)

    def find_fault(self, pinned):
        origin, size, root, empty = self.text
        if origin != pinned.origin.encode():
            return 0
        if re.fullmatch(NUMBER, size) is None:
            return 1
        try:
            self.size, self.root = int(size), unbase64(root)
        except ValueError:
            return 2
        if len(self.root) != 32 or empty != b"":
            return 2 if len(self.root) != 32 else 3
        fault = signature_fault(note_text(pinned.origin, self.size, self.root), self.signatures, pinned)
        return None if fault is None else 4 + fault
