// Works with texts over HTTP: POST /words counts, /gzip compresses, /sign signs with a key of its own.
"use strict";
const http = require("node:http");
const { gzip } = require("node:zlib");
const { promisify } = require("node:util");
const { generateKeyPairSync, sign, verify, createHash } = require("node:crypto");
const { count } = require("./words");

const keys = generateKeyPairSync("ed25519");

const pages = {
  "/words": async (body) => JSON.stringify(count(body.toString("utf8"))),
  "/gzip": async (body) => (await promisify(gzip)(body)).toString("base64"),
  "/sign": async (body) => {
    const signature = sign(null, body, keys.privateKey);
    const digest = createHash("sha256").update(body).digest("hex");
    return JSON.stringify({ digest, valid: verify(null, body, keys.publicKey, signature) });
  },
};

const server = http.createServer(async (request, response) => {
  const page = pages[request.url];
  if (!page) {
    response.writeHead(404).end("no such page\n");
    return;
  }
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  response.end((await page(Buffer.concat(pieces))) + "\n");
});

server.listen(8080, "0.0.0.0");
process.on("SIGTERM", () => server.close(() => process.exit(0)));
