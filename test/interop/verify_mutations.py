#!/usr/bin/env python3
"""Judges many mutations of one bundle with verify_bundle.py, without reading what they have in common again and again.

    verify_mutations.py CASES FILE...

FILE 0 is the bundle that was mutated, others are what pieces come from. CASES is one JSON document per line:
{"pieces": [[file, start, end] or "base64", ...], "key": VERIFIER_KEY, "held": CHECKPOINT, "part": true}, the last two where
there is such a thing. What comes out are their reports, one per line, in
the same order, each with the most memory that its process held.

A mutated file is read like any other up to the line in which it first differs; there the state of the verifier is that of
the unmutated file. So the unmutated file is read once, and at each such line a fork of this process reads on in the mutated one.
What differs early is simply read from its beginning: a fork costs as much as some dozen entries.
"""
import base64
import functools
import gc
import io
import json
import os
import sys

import bundle_note
from bundle_note import MAX_LINE, Lines, PinnedKey, WrongQuestion
from verify_bundle import Verifier, judge, read_held


END_MARK = b"\nsallyport-bundle-end v1 "
EARLY_BYTES = 16_384


class Stored:
    """A file that is read block by block: what is mapped would count as memory."""

    def __init__(self, path):
        self.file = os.open(path, os.O_RDONLY)
        self.size, self.begin, self.block = os.fstat(self.file).st_size, 0, b""
        self.ends = []
        for start in range(0, self.size, 1 << 16):
            block, at = os.pread(self.file, (1 << 16) + len(END_MARK) - 1, start), -1
            while (at := block.find(END_MARK, at + 1)) >= 0:
                self.ends.append(start + at)

    def find_end(self, start, end):
        return next((at for at in self.ends if start <= at <= end - len(END_MARK)), -1)

    def part(self, start, end):
        """Some bytes from `start` on, at least one and at most up to `end`."""
        if not self.begin <= start < self.begin + len(self.block):
            self.begin, self.block = start, os.pread(self.file, 1 << 16, start)
        return self.block[start - self.begin:end - self.begin]


class Literal:
    def __init__(self, content):
        self.content, self.size = content, len(content)

    def part(self, start, end):
        return self.content[start:end]

    def find_end(self, start, end):
        return self.content.find(END_MARK, start, end)


class Pieces:
    """A file that is put together from pieces of others."""

    def __init__(self, pieces):
        self.pieces = [(data, start, end) for data, start, end in pieces if start < end]
        self.size = sum(end - start for _, start, end in self.pieces)
        self.seek(0)

    def seek(self, position):
        for self.nth, (_, start, end) in enumerate(self.pieces):
            self.at = start + position
            if self.at < end:
                return
            position -= end - start
        self.nth = len(self.pieces)

    def read(self, limit, last=None):
        taken = b""
        while len(taken) < limit and self.nth < len(self.pieces):
            data, _, end = self.pieces[self.nth]
            part = data.part(self.at, min(end, self.at + limit - len(taken)))
            found = 0 if last is None else part.find(last) + 1
            part = part[:found] if found else part
            taken, self.at = taken + part, self.at + len(part)
            if self.at == end:
                self.nth += 1
                self.at = self.pieces[self.nth][1] if self.nth < len(self.pieces) else 0
            if found:
                break
        return taken

    def next_end(self):
        """Where the next line begins that may be an end; None when there is none. Reading must stand at the beginning of a line."""
        position = sum(end - start for _, start, end in self.pieces[:self.nth])
        position += self.at - self.pieces[self.nth][1] - 1 if self.nth < len(self.pieces) else 0
        begin = 0
        for data, start, end in self.pieces:
            # Across the border of two pieces, then inside of the second one.
            border = max(begin - len(END_MARK), position)
            if position < begin:
                self.seek(border)
                found = self.read(2 * len(END_MARK)).find(END_MARK)
                if found >= 0:
                    return border + found + 1
            found = data.find_end(start + max(position - begin, 0), end)
            if found >= 0:
                return begin + found - start + 1
            begin += end - start
        return None

    def readline(self, limit):
        return self.read(limit, b"\n")


class CaseLines(Lines):
    """Lines of a mutated file."""

    def rest(self):
        """What reading on gives, but for lines that cannot be an end: most of the time would go into them."""
        if any(line is not None and line.startswith(END_MARK[1:]) for line in (self.newest, self.ahead)):
            yield from super().rest()
            return
        yield self.newest[:-1]
        position = self.file.next_end()
        if position is not None:
            self.file.seek(position)
            while (line := self.file.readline(MAX_LINE + 1)).endswith(b"\n"):
                yield line[:-1]


class ForkingLines(CaseLines):
    """Lines of the unmutated file; where a case begins to differ, a child process reads on in that case instead."""

    def __init__(self, file, cases, answers):
        super().__init__(file)
        self.position, self.cases, self.answers, self.child = 0, cases, answers, None

    def peek(self):
        if self.ahead is None:
            line = super().peek()
            while self.child is None and self.cases and self.cases[-1]["same"] < self.position + max(len(line), 1):
                if self.fork(self.cases.pop()):
                    return super().peek()
            self.position += len(line)
        return self.ahead

    def fork(self, case):
        """True in the child."""
        readable, writable = os.pipe()
        pid = os.fork()
        if pid == 0:
            self.child, self.ahead, self.file = writable, None, case["file"]
            self.file.seek(self.position)
            return True
        os.close(writable)
        with os.fdopen(readable, "rb") as pipe:
            report = pipe.read()
        # Its own peak: nothing was executed in it, so what started this process does not count.
        self.answers[case["nth"]] = with_peak(report, os.wait4(pid, 0)[2].ru_maxrss)
        return False


def same_as(pieces, base):
    """How many bytes at the beginning are those of the unmutated file."""
    same = 0
    for data, start, end in pieces:
        if data is base and start == same:
            same = start = end
        while start < end and same < base.size:
            one, two = data.part(start, min(end, start + 256)), base.part(same, same + 256)
            length = min(len(one), len(two))
            if one[:length] != two[:length]:
                return same + next(at for at in range(length) if one[at] != two[at])
            start, same = start + length, same + length
        if start < end:
            break
    return same


def parse_case(nth, text, files):
    case = json.loads(text)
    pieces = []
    for piece in case["pieces"]:
        data = Literal(base64.b64decode(piece)) if isinstance(piece, str) else files[piece[0]]
        pieces.append((data, *(piece[1:] if isinstance(piece, list) else (0, data.size))))
    question = case["key"], case.get("held"), case.get("part", False)
    return {"nth": nth, "question": question, "same": same_as(pieces, files[0]), "file": Pieces(pieces)}


def peak_kb():
    """The most memory that this process held; what getrusage says would count the one that started it as well."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def with_peak(report, peak):
    return report[:-1] + b', "maxKb": %d}' % peak


def opened(question):
    key, held, _ = question
    pinned = PinnedKey(key)
    return pinned, None if held is None else read_held(io.BytesIO(held.encode()), pinned)


def judge_early(cases, question, answers):
    """Judges cases one by one, each from its beginning."""
    pinned, earlier = opened(question)
    for case in cases:
        answers[case["nth"]] = json.dumps(judge(Verifier(CaseLines(case["file"]), pinned, earlier), question[2])).encode()


def judge_late(cases, question, files, answers):
    """Judges the unmutated file, and on the way the cases, the last one first."""
    pinned, earlier = opened(question)
    # Signatures that many cases have in common are judged once: verify_ed25519 remembers.
    for each in files:
        ends = Lines(Pieces([(each, max(each.size - MAX_LINE, 0), each.size)]))
        ends.newest = ends.peek()
        Verifier(ends, pinned).signed_end()
    lines = ForkingLines(Pieces([(files[0], 0, files[0].size)]), cases, answers)
    report = json.dumps(judge(Verifier(lines, pinned, earlier), question[2])).encode()
    if lines.child is not None:
        os.write(lines.child, report)
        os._exit(0)
    # What is refused before these begin to differ is refused in all of them.
    for case in cases:
        answers[case["nth"]] = report


def main():
    files = [Stored(path) for path in sys.argv[2:]]
    answers, questions = {}, {}
    with open(sys.argv[1], "rb") as file:
        for nth, text in enumerate(file):
            case = parse_case(nth, text, files)
            questions.setdefault(case["question"], []).append(case)
    bundle_note.verify_ed25519 = functools.lru_cache(bundle_note.verify_ed25519)
    gc.freeze()
    for question, cases in questions.items():
        cases.sort(key=lambda case: case["same"], reverse=True)
        late = [case for case in cases if case["same"] >= EARLY_BYTES] if len(cases) > 1 else []
        try:
            judge_early(cases[len(late):], question, answers)
            if late:
                judge_late(late, question, files, answers)
        except WrongQuestion as wrong:
            for case in cases:
                answers[case["nth"]] = json.dumps({"error": {"message": str(wrong)}, "exitCode": 2}).encode()
    own = peak_kb()
    for _, report in sorted(answers.items()):
        print((report if b'"maxKb"' in report else with_peak(report, own)).decode())


if __name__ == "__main__":
    main()
