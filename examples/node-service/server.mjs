// A small shop in Node's standard library, as an example of a service that knows nothing of flashbench.
// usage: node server.mjs [--port 8099] [--careless]
// With --careless it looks at the stock, waits for its "payment", and only then takes the units.
import { createServer } from "node:http";
import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";

const option = (name) => process.argv[process.argv.indexOf(name) + 1];
const port = process.argv.includes("--port") ? Number(option("--port")) : 8099;
const careless = process.argv.includes("--careless");

const stock = new Map(); // product → units
const orders = []; // every sale
const byRequest = new Map(); // request id → its answer, so that a repeated request buys nothing

async function buy({ item, count, buyer, requestId }) {
  if (byRequest.has(requestId)) return byRequest.get(requestId);
  if ((stock.get(item) ?? 0) < count) return { ok: false, reason: "SOLD_OUT" };
  if (careless) await pause(2);
  stock.set(item, stock.get(item) - count);
  const order = { order: randomUUID(), item, count, buyer, requestId };
  orders.push(order);
  const answer = { ok: true, order: order.order, left: stock.get(item) };
  byRequest.set(requestId, answer);
  return answer;
}

async function body(request) {
  let text = "";
  for await (const part of request) text += part;
  return JSON.parse(text || "{}");
}

async function route(request) {
  const [, first, second] = request.url.split("/");
  if (request.method === "PUT" && first === "products") {
    stock.set(decodeURIComponent(second), (await body(request)).stock);
    return [200, { ok: true }];
  }
  if (request.method === "POST" && first === "buy") return [200, await buy(await body(request))];
  if (request.method === "GET" && first === "products") {
    const id = decodeURIComponent(second);
    return stock.has(id) ? [200, { id, stock: stock.get(id) }] : [404, { error: "no such product" }];
  }
  if (request.method === "GET" && first === "orders") return [200, { orders }];
  return [404, { error: "not found" }];
}

const server = createServer(async (request, response) => {
  const [status, document] = await route(request).catch((error) => [500, { error: String(error) }]);
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(document));
});
server.keepAliveTimeout = 60_000;
server.listen(port, "127.0.0.1", () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
