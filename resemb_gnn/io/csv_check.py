"""What polars lets pass in a CSV file: rows with too few fields, and rows without end.

Arrow's reader, too, lets quotes pass that are never closed and text after a closing one, and
takes a carriage return alone for the end of a line.
"""

import csv
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from resemb_gnn.errors import InputError
from resemb_gnn.io import files

_CHUNK = 2**22  # bytes looked at in one go
_START = 2**16  # likewise, where a header is all that is asked for
_QUOTE, _LINE, _RETURN = b'"\n\r'


@dataclass
class CsvShape:
    """What a CSV file looks like.

    Args:
        names: of the columns, as they are in the file.
        blank: numbers of the rows after the header (from 0) that are empty lines.
        rows: number of the other rows after the header.
        line: line of the row that was asked for, from 1; ``None`` if there are not as many.
    """

    names: list[str] = field(default_factory=list)
    blank: list[int] = field(default_factory=list)
    rows: int = 0
    line: int | None = None


def check_csv(path: Path, separator: str = ",", row: int | None = None) -> CsvShape:
    """Reads a CSV file (RFC 4180: double quotes; plain or gz) through for its form.

    Needs memory for a few megabytes, whatever the file.

    Args:
        path: the file.
        separator: what stands between fields, one ASCII character.
        row: a row after the header (from 0, empty lines left out) whose line is asked for; of a row
            over several lines it is the last.

    Raises:
        InputError: naming file and line, if a row has another number of fields than the header, is
            longer than ``files.LINE_LIMIT``, or has a quote where none can be; if a quote is
            never closed; if the header is not UTF-8, or a name in it too long for one.
    """
    scan = _Scan(path, separator, row)
    with files.open_bytes(path) as file:
        while chunk := file.read(_CHUNK):
            scan.feed(chunk)
    return scan.end()


def read_header(path: Path, separator: str = ",") -> list[str]:
    """The names of a CSV file's columns, as :func:`check_csv` has them; none if it is empty.

    Raises:
        InputError: as :func:`check_csv`, for the first rows.
    """
    scan = _Scan(path, separator, None)
    with files.open_bytes(path) as file:
        while not scan.shape.names and (chunk := file.read(_START)):
            scan.feed(chunk)
    return scan.shape.names or scan.end().names


class _Scan:
    def __init__(self, path: Path, separator: str, row: int | None) -> None:
        self.path = path
        self.separator = separator
        self.between = ord(separator)
        self.shape = CsvShape()
        self.asked = row
        self.quoted = False  # whether the next byte stands within quotes
        self.before = _LINE  # the byte before the chunk
        self.lines = 0  # line ends so far, those within quotes too: for messages
        self.rows = -1  # rows after the header so far
        self.length = self.splits = 0  # of the row that is under way
        self.header = b""

    def feed(self, chunk: bytes) -> None:
        data = np.frombuffer(chunk, np.uint8)
        quotes = np.flatnonzero(data == _QUOTE)
        self._check_quotes(data, quotes)
        every_end = np.flatnonzero(data == _LINE)
        ends, splits = (
            self._outside(quotes, places)
            for places in (every_end, np.flatnonzero(data == self.between))
        )
        self._check_returns(data, self._outside(quotes, np.flatnonzero(data == _RETURN)), every_end)
        # Length and separators of each row that ends here; the first may have begun earlier.
        lengths = np.diff(ends, prepend=-1) - 1
        counts = np.diff(np.searchsorted(splits, ends), prepend=0)
        if ends.size:
            lengths[0] += self.length
            counts[0] += self.splits
            self.length = self.splits = 0
        before_end = np.where(ends > 0, data[ends - 1], self.before)
        empty = (lengths == 0) | ((lengths == 1) & (before_end == _RETURN))
        line_of = self.lines + np.searchsorted(every_end, ends) + 1
        last = int(ends[-1]) + 1 if ends.size else 0
        self._check_rows(chunk, ends, lengths, counts, empty, line_of)
        self.length += len(chunk) - last
        self.splits += int(splits.size - np.searchsorted(splits, last))
        self.lines += every_end.size
        if self.length > files.LINE_LIMIT:
            raise files.too_long(self.path, self.lines + 1)
        self.quoted ^= bool(quotes.size % 2)
        self.before = chunk[-1]

    def end(self) -> CsvShape:
        if self.quoted:
            raise InputError(f"{self.path}: a quote is opened and never closed")
        if self.before == _RETURN:
            raise files.bare_return(self.path, self.lines + 1)
        if self.length:  # the last line may lack its end
            self.feed(b"\n")
        return self.shape

    def _outside(self, quotes: NDArray[np.intp], places: NDArray[np.intp]) -> NDArray[np.intp]:
        """Those of the places that do not stand within quotes."""
        if not quotes.size:
            return places[:0] if self.quoted else places
        return places[(np.searchsorted(quotes, places) + self.quoted) % 2 == 0]

    def _check_quotes(self, data: NDArray[np.uint8], quotes: NDArray[np.intp]) -> None:
        """A quote opens a field, closes it, or is doubled within it."""
        opens = (np.arange(quotes.size) + self.quoted) % 2 == 0
        at = quotes[opens]
        before = np.where(at > 0, data[at - 1], self.before)
        bad = at[~np.isin(before, (self.between, _LINE, _QUOTE))]
        closes = quotes[~opens]
        inner = closes[closes + 1 < data.size]
        stray = inner[~np.isin(data[inner + 1], (self.between, _LINE, _RETURN, _QUOTE))]
        places = np.concatenate([bad, stray])
        if self.before == _QUOTE and not self.quoted:
            first = data[0] not in (self.between, _LINE, _RETURN, _QUOTE)
            places = np.append(places, 0) if first else places
        if places.size:
            line = self.lines + int(np.count_nonzero(data[: places.min()] == _LINE)) + 1
            raise InputError(
                f"{self.path}, line {line}: a quote within a field; the field must be quoted and"
                " the quote doubled"
            )

    def _check_returns(
        self, data: NDArray[np.uint8], returns: NDArray[np.intp], ends: NDArray[np.intp]
    ) -> None:
        inner = returns[returns + 1 < data.size]
        bad = inner[data[inner + 1] != _LINE]
        if self.before == _RETURN and not self.quoted and data[0] != _LINE:
            bad = np.zeros(1, np.intp)
        if bad.size:
            line = self.lines + int(np.searchsorted(ends, bad[0])) + 1
            raise files.bare_return(self.path, line)

    def _check_rows(
        self,
        chunk: bytes,
        ends: NDArray[np.intp],
        lengths: NDArray[np.intp],
        counts: NDArray[np.intp],
        empty: NDArray[np.bool_],
        line_of: NDArray[np.intp],
    ) -> None:
        over = np.flatnonzero(lengths > files.LINE_LIMIT)
        if over.size:
            raise files.too_long(self.path, int(line_of[over[0]]))
        first = 0
        if self.rows < 0:
            filled = np.flatnonzero(~empty)
            stop = int(ends[filled[0]]) if filled.size else len(chunk)
            self.header += chunk[:stop]
            if not filled.size:
                return
            self._read_header()
            first = int(filled[0]) + 1
            self.rows = 0
        fields = counts[first:] + 1
        blank = empty[first:]
        wrong = np.flatnonzero((fields != len(self.shape.names)) & ~blank)
        if wrong.size:
            at = int(wrong[0])
            raise InputError(
                f"{self.path}, line {line_of[first + at]}: {fields[at]} fields, but the header has"
                f" {len(self.shape.names)}"
            )
        self.shape.blank += (self.rows + np.flatnonzero(blank)).tolist()
        self.rows += fields.size
        filled = line_of[first:][~blank]
        if self.asked is not None and 0 <= self.asked - self.shape.rows < filled.size:
            self.shape.line = int(filled[self.asked - self.shape.rows])
        self.shape.rows += filled.size

    def _read_header(self) -> None:
        try:
            text = self.header.decode().lstrip("\r\n")
        except UnicodeDecodeError as error:
            raise InputError(f"{self.path}, header: {error}") from error
        try:
            self.shape.names = next(csv.reader([text], delimiter=self.separator))
        except csv.Error as error:  # a name as long as a quote that is closed rows later makes it
            raise InputError(f"{self.path}, header: {error}") from error
        self.header = b""
