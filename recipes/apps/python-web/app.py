#!/usr/bin/python3
"""Notes over HTTP, kept in SQLite: GET /notes, GET /notes/1, POST /notes {"text": "..."}."""

import json
import os
import signal
import sqlite3
import sys
from contextlib import closing
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DATABASE = os.environ.get("NOTES_DATABASE", "/data/notes.db")
LARGEST = 64 * 1024


def database():
    connection = sqlite3.connect(DATABASE)
    connection.execute("create table if not exists notes (id integer primary key, text not null)")
    return closing(connection)


class Notes(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def answer(self, value, status=HTTPStatus.OK):
        body = json.dumps(value, ensure_ascii=False).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        with database() as notes:
            if self.path == "/notes":
                rows = notes.execute("select id, text from notes order by id").fetchall()
                return self.answer([{"id": number, "text": text} for number, text in rows])
            number = self.path.removeprefix("/notes/")
            row = notes.execute("select text from notes where id = ?", (number,)).fetchone()
        if row is None:
            return self.answer({"error": "no such note"}, HTTPStatus.NOT_FOUND)
        return self.answer({"id": int(number), "text": row[0]})

    def do_POST(self):
        length = int(self.headers.get("Content-Length", 0))
        if self.path != "/notes" or length > LARGEST:
            return self.answer({"error": "not here, or too large"}, HTTPStatus.BAD_REQUEST)
        try:
            text = json.loads(self.rfile.read(length))["text"]
        except (ValueError, KeyError, TypeError):
            return self.answer({"error": 'expected {"text": "..."}'}, HTTPStatus.BAD_REQUEST)
        with database() as notes, notes:
            number = notes.execute("insert into notes (text) values (?)", (str(text),)).lastrowid
            notes.commit()
        return self.answer({"id": number}, HTTPStatus.CREATED)


def main():
    server = ThreadingHTTPServer(("", int(os.environ.get("PORT", "8080"))), Notes)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server.serve_forever()


if __name__ == "__main__":
    main()
