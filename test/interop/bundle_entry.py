"""Entries, openings and the replay, for verify_bundle.py: docs/formats/log.md."""
import base64
import bisect
import datetime
import hashlib
import json
import re

from bundle_note import ORIGIN, unbase64

SIZE = re.compile(r"0|[1-9][0-9]{0,14}")
MAX_ENTRY, MAX_OPENINGS, MAX_DEPTH = 65_535, 131_072, 16
MAX_SERIAL, MAX_SAFE, MAX_CAS, MAX_RUNS = 2**64 - 1, 2**53 - 1, 10_000, 100_000


# Entries, log.md sections 1, 3 and 4.
def integer(text):
    if len(text) > 17 or abs(int(text)) > MAX_SAFE:
        raise ValueError("a number that is too large")
    return int(text)


def refuse(text):
    raise ValueError(f"{text[:20]} is not an integer")


def utf16(text):
    return text.encode("utf-16-be")


def ordered(pairs):
    for at in range(1, len(pairs)):
        one, two = pairs[at - 1][0], pairs[at][0]
        if not (one < two if one.isascii() and two.isascii() else utf16(one) < utf16(two)):
            raise ValueError("keys that are not in order")
    return dict(pairs)


def check_depth(value, inside=0):
    if inside > MAX_DEPTH:
        raise ValueError("nested too deeply")
    for member in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        check_depth(member, inside + 1)


DECODER = json.JSONDecoder(object_pairs_hook=ordered, parse_int=integer, parse_float=refuse, parse_constant=refuse)
ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)


def parse_object(raw, limit):
    """An object from its canonical form; ValueError for anything else."""
    if len(raw) > limit:
        raise ValueError("too long")
    try:
        value = DECODER.decode(raw.decode("utf-8"))
        if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH:
            check_depth(value)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    # The encoder's escapes are those of JSON.stringify, and encoding refuses lone surrogates.
    if not isinstance(value, dict) or ENCODER.encode(value).encode("utf-8") != raw:
        raise ValueError("not the canonical form of an object")
    return value


TIME = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})\.([0-9]{3})Z")
UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TYPE = re.compile(r"[a-z]+(\.[a-z_]+)+")
PATH = re.compile(r"([a-z][a-z0-9_]{0,31})(?:\.([a-z][a-z0-9_]{0,31}))?")
COMMITMENT = re.compile(r"sha256:([A-Za-z0-9_-]{43})")
EPOCH = datetime.date(1970, 1, 1).toordinal()


def matches(pattern, value):
    return pattern.fullmatch(value) if isinstance(value, str) else None


def need(condition, what):
    if not condition:
        raise ValueError(what)


def parse_time(text):
    match = matches(TIME, text)
    need(match is not None, "time is not a time")
    year, month, day, hour, minute, second, ms = map(int, match.groups())
    need(year >= 1970, "time is before 1970")
    when = datetime.datetime(year, month, day, hour, minute, second)  # ValueError when there is no such time
    return ((when.toordinal() - EPOCH) * 86_400 + hour * 3600 + minute * 60 + second) * 1000 + ms


def at_path(entry, path):
    match = matches(PATH, path)
    need(match is not None, "personal holds what is no path")
    value = entry.get(match[1])
    return value if match[2] is None else value.get(match[2]) if isinstance(value, dict) else None


def parse_entry(raw):
    """An entry, its time in milliseconds, and its commitments by path."""
    entry = parse_object(raw, MAX_ENTRY)
    need(type(entry.get("v")) is int and entry["v"] == 1, "v is not 1")
    time_ms, identity = parse_time(entry.get("time")), entry.get("id")
    need(matches(UUID7, identity) and int(identity[:8] + identity[9:13], 16) == time_ms, "id is no UUIDv7 of its time")
    need(matches(TYPE, entry.get("type")), "type is malformed")
    need(entry.get("outcome") in ("success", "failure", "denied"), "outcome is unknown")
    code = entry.get("reason_code")
    need(isinstance(code, str) and code != "" or "reason_code" not in entry and entry["outcome"] == "success", "reason_code is missing")
    personal = entry.get("personal", [])
    need(isinstance(personal, list) and (personal or "personal" not in entry), "personal is no list, or empty")
    commitments = {path: at_path(entry, path) for path in personal if isinstance(path, str)}
    need(list(commitments) == personal == sorted(commitments, key=utf16), "personal is not sorted")
    for value in commitments.values():
        match = matches(COMMITMENT, value)
        need(match is not None, "what personal names is no commitment")
        unbase64(match[1], url=True)
    return entry, time_ms, commitments


def check_openings(raw, commitments, counts):
    openings = parse_object(raw, MAX_OPENINGS)
    need(openings.keys() == commitments.keys(), "the openings are not those of the entry")
    for path, opening in openings.items():
        if opening in ("erased", "withheld"):
            counts[opening] += 1
            continue
        need(isinstance(opening, dict) and opening.keys() == {"salt", "value"}, "an opening is malformed")
        need(all(isinstance(member, str) for member in opening.values()), "an opening is malformed")
        salt = unbase64(opening["salt"], url=True)
        need(len(salt) == 16, "a salt has not 16 bytes")
        digest = hashlib.sha256(salt + opening["value"].encode("utf-8")).digest()
        need("sha256:" + base64.urlsafe_b64encode(digest).decode()[:43] == commitments[path], f"the value given for {path} is not the one recorded")
        counts["opened"] += 1


# The replay, log.md section 7.
class Runs:
    """Numbers, as runs of neighbours that know when they began."""

    def __init__(self):
        self.first, self.last, self.began = [], [], []

    def add(self, first, last, began):
        """False when one of the numbers was there."""
        at = bisect.bisect_right(self.first, first)
        if (at and self.last[at - 1] >= first) or (at < len(self.first) and self.first[at] <= last):
            return False
        below, above = bool(at and self.last[at - 1] == first - 1), at < len(self.first) and self.first[at] == last + 1
        if below and above:
            self.last[at - 1] = self.last[at]
            self.began[at - 1] = min(self.began[at - 1], self.began[at])
            del self.first[at], self.last[at], self.began[at]
        elif below:
            self.last[at - 1] = last
        elif above:
            self.first[at] = first
        else:
            self.first.insert(at, first), self.last.insert(at, last), self.began.insert(at, began)
        return True

    def has(self, number):
        at = bisect.bisect_right(self.first, number)
        return bool(at) and self.last[at - 1] >= number


DECIMAL, FINGERPRINT = re.compile("[1-9][0-9]{0,19}"), re.compile("[!-~]{1,100}")


def serial_of(value):
    return int(value) if matches(DECIMAL, value) and int(value) <= MAX_SERIAL else None


def read_epoch(epoch):
    """First serials by ca_fp, and the list version, that a log goes on from; None when it does not say (log.md, section 7)."""
    if not isinstance(epoch, dict):
        return None
    origin, size, listed, quoted = (epoch.get(name) for name in ("origin", "size", "authorities", "checkpoint"))
    if matches(ORIGIN, origin) is None or matches(SIZE, size) is None or not isinstance(listed, list) or len(listed) > MAX_CAS:
        return None
    # What it quotes must be of the log and the size that it names.
    if "checkpoint" in epoch and not (isinstance(quoted, str) and quoted.startswith(f"{origin}\n{size}\n")):
        return None
    firsts = {}
    for each in listed:
        ca, first = (each.get("ca_fp"), serial_of(each.get("next"))) if isinstance(each, dict) else (None, None)
        if matches(FINGERPRINT, ca) is None or first is None or ca in firsts:
            return None
        firsts[ca] = first
    version = serial_of(epoch["list_version"]) if "list_version" in epoch else 0
    return None if version is None else (firsts, version)


MARGIN, MAX_REMEMBERED = 86_400, 1_000_000


class Listed:
    """What revocation lists must hold: log.md section 7, rule 3."""

    def __init__(self):
        self.serials, self.ends, self.indexes, self.endless = {}, {}, {}, {}
        self.keys, self.key_indexes, self.remembered = set(), [], 0

    def full(self):
        return self.remembered > MAX_REMEMBERED

    def remember(self):
        self.remembered += 1
        return not self.full()

    def revoke(self, index, ca, serial, end):
        if serial in self.serials.setdefault(ca, set()) or not self.remember():
            return
        self.serials[ca].add(serial)
        try:
            bisect.insort(self.ends.setdefault(ca, []), parse_time(end) // 1000)
            self.indexes.setdefault(ca, []).append(index)
        except ValueError:
            self.endless[ca] = self.endless.get(ca, 0) + 1

    def act(self, index, target):
        value = target.get("value") if isinstance(target, dict) and target.get("kind") == "key" else None
        if isinstance(value, str) and value not in self.keys and self.remember():
            self.keys.add(value)
            self.key_indexes.append(index)

    def check(self, index, entry, time_ms, whole):
        """What is wrong with a list, or None."""
        stated = entry["list"] if isinstance(entry.get("list"), dict) else {}
        if "log_size" not in stated or self.full():
            return None
        size = int(stated["log_size"]) if matches(SIZE, stated["log_size"]) else None
        serials, keys = stated.get("serials"), stated.get("keys")
        if size is None or size > index or any(type(each) is not int or each < 0 for each in (serials, keys)):
            return "it does not say well what its list holds"
        ca = stated.get("ca_fp") if isinstance(stated.get("ca_fp"), str) else None
        ends, indexes = self.ends.get(ca, []), self.indexes.get(ca, [])
        due = len(ends) - bisect.bisect_left(ends, time_ms // 1000 - MARGIN)
        late = len(indexes) - bisect.bisect_left(indexes, size)
        if serials < due - late or keys < bisect.bisect_left(self.key_indexes, size):
            return "its list lacks what was revoked"
        if whole and (serials > due + self.endless.get(ca, 0) or keys > len(self.keys)):
            return "its list holds more than was revoked"
        return None


class Replay:
    def __init__(self, from_zero):
        self.listed, self.whole = Listed(), from_zero
        self.from_zero, self.cas, self.last_met, self.list_version = from_zero, {}, {}, 0
        self.firsts, self.goes_on = {}, None
        self.largest = self.before = self.promise = None
        self.contradiction = self.doubt = None
        self.heartbeats = False

    def take(self, index, entry, time_ms):
        kind, success = entry["type"], entry["outcome"] == "success"
        self.take_time(index, kind, entry, time_ms)
        if self.contradiction is not None:
            return
        problem = None
        if kind == "log.epoch" and success:
            self.whole = False
        cred = entry.get("cred") if isinstance(entry.get("cred"), dict) else {}
        x509 = isinstance(cred.get("kind"), str) and not cred["kind"].startswith("ssh-")
        if kind == "log.epoch" and success:
            problem = self.begin(index, entry.get("epoch"))
        elif kind == "cred.issue" and success and not x509:
            problem = self.meet(index, cred, ("serial", "serial"), time_ms)
        elif kind == "cred.void":
            problem = self.meet(index, cred, ("serial_first", "serial_last"), time_ms)
        elif kind == "cred.revoke" and success and not x509 and "serial" in cred and "ca_fp" in cred:
            serial, ca = serial_of(cred["serial"]), cred["ca_fp"]
            if serial is not None:
                self.listed.revoke(index, ca if isinstance(ca, str) else "", serial, cred.get("not_after"))
            met, void = self.cas.get(ca, (None, None)) if isinstance(ca, str) else (None, None)
            first = self.firsts.get(ca, 1) if isinstance(ca, str) else 1
            if serial is not None and serial < first:
                pass  # The log before issued it.
            elif serial is None or (self.from_zero and not (met and met.has(serial) and not void.has(serial))):
                problem = "it revokes what was never issued"
        elif kind == "cred.revoke" and success and not ("serial" in cred and "ca_fp" in cred):
            self.listed.act(index, entry.get("target"))
        elif kind == "krl.publish" and success:
            artifact = entry.get("artifact")
            version = serial_of(artifact.get("version")) if isinstance(artifact, dict) else None
            if version is None or version <= self.list_version:
                problem = "its list is not newer than the one before"
            else:
                problem = self.listed.check(index, entry, time_ms, self.whole)
            self.list_version = version
        if problem is not None:
            self.contradiction = (problem, index)

    def begin(self, index, epoch):
        said = read_epoch(epoch) if index == 0 else None
        if said is None:
            return "it begins a log where none can begin, or does not say what it goes on from"
        self.firsts, self.list_version = said
        self.goes_on = (epoch["origin"], epoch["size"])
        return None

    def take_time(self, index, kind, entry, time_ms):
        if self.largest is not None and time_ms < self.largest - 300_000:
            self.doubt = self.doubt or ("its time lies more than five minutes before that of an earlier entry", index)
        if self.promise is not None and kind != "system.start" and time_ms - self.before > (2 * self.promise + 60) * 1000:
            self.doubt = self.doubt or ("before it the log was silent for longer than it promised", index)
        if kind in ("system.start", "system.stop"):
            self.promise = None
        if kind == "log.heartbeat":
            seconds = entry["heartbeat"].get("interval_seconds") if isinstance(entry.get("heartbeat"), dict) else None
            self.promise, self.heartbeats = seconds if type(seconds) is int and 1 <= seconds <= 86_400 else 600, True
        self.largest, self.before = time_ms if self.largest is None else max(self.largest, time_ms), time_ms

    def meet(self, index, cred, fields, time_ms):
        ca, first, last = cred.get("ca_fp"), *(serial_of(cred.get(field)) for field in fields)
        if matches(FINGERPRINT, ca) is None or first is None or last is None or first > last:
            return "it lacks a well-formed ca_fp or serial"
        if ca not in self.cas and len(self.cas) == MAX_CAS:
            return "it names one ca_fp too many"
        self.last_met[ca] = index
        runs = self.cas.setdefault(ca, (Runs(), Runs()))
        if first < self.firsts.get(ca, 1):
            return "it takes a serial of the log before"
        if not runs[0].add(first, last, time_ms):
            return "a serial of it was met before"
        if fields[0] != fields[1]:
            runs[1].add(first, last, time_ms)
        return "there are too many runs of serials" if max(len(each.first) for each in runs) > MAX_RUNS else None

    def gap(self):
        """A number that is missing, not to be explained by requests under way: those above it began just now."""
        for ca, (met, _) in self.cas.items():
            for at, (first, began) in enumerate(zip(met.first, met.began)):
                if first > (met.last[at - 1] + 1 if at else self.firsts.get(ca, 1)) and self.largest - began >= 900_000:
                    return f"serials of {ca} below {first} are missing", self.last_met[ca]
        return None
