// A whole session with `@reiryoku/ctrader-layer`. Run by its test in a folder where npm has installed it; not a test.
//
// How it works: the first line of standard input is the ready line of `microlev sim`; NODE_EXTRA_CA_CERTS names its
// `ca_file`. After each step it prints one JSON line of what the client saw and waits for a line (or the end) of
// standard input, so that the venue can be looked at meanwhile. The last line is the step "done", or "error" with the
// client's own words.
// The client gives 64-bit integers as text and order requests no answer: their outcome is an event.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(`${process.cwd()}/`); // the script lies elsewhere than the installed client
const { CTraderConnection } = require("@reiryoku/ctrader-layer");

const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const ready = JSON.parse((await input.next()).value);
const ctidTraderAccountId = ready.accounts[0].id;
const symbol = ready.symbols.find((entry) => entry.name === "EURUSD");
const least = symbol.min_volume_cents;
const volume = 3 * least;
const ownId = `node-${process.pid}`;
const spots = { bids: [], asks: [] };
const book = new Map();
const executions = [];
const waiting = new Set();

const connection = new CTraderConnection({ host: ready.host, port: ready.port });

function present(number) {
    return number !== null && number !== undefined;
}

function wake() {
    for (const entry of [...waiting]) {
        const found = entry.predicate();
        if (found) {
            waiting.delete(entry);
            entry.resolve(found);
        }
    }
}

function until(what, predicate) {
    const found = predicate();
    if (found) {
        return found;
    }
    return new Promise((resolve, reject) => {
        const entry = { predicate, resolve };
        waiting.add(entry);
        setTimeout(() => reject(new Error(`no ${what} within 20 s`)), 20_000).unref();
    });
}

// Sends an order request; resolves with the event that carries its message id, rejects with the venue's refusal.
let requests = 0;
async function order(payloadName, fields) {
    const id = `${ownId}-${++requests}`;
    await connection.sendCommand(payloadName, { ctidTraderAccountId, ...fields }, id);
    const event = await until(`answer to ${payloadName}`, () => executions.find((body) => body.clientMsgId === id));
    if (present(event.errorCode)) {
        throw new Error(`${event.errorCode}: ${event.description}`);
    }
    return event;
}

function execution(kind, matches, since = 0) {
    return until(kind, () => executions.slice(since).find((body) => body.executionType === kind && matches(body)));
}

async function step(name, saw = {}) {
    console.log(JSON.stringify({ step: name, ...saw }));
    await input.next();
}

function ask(payloadName, fields = {}) {
    return connection.sendCommand(payloadName, { ctidTraderAccountId, ...fields });
}

async function logIn() {
    // The client never tells why it could not connect: it swallows the error of an untrusted certificate, too.
    const patience = setTimeout(() => {
        console.log(JSON.stringify({ step: "error", text: "the client has not connected within 10 s" }));
        process.exit(1);
    }, 10_000);
    await connection.open();
    clearTimeout(patience);
    await connection.sendCommand("ProtoOAApplicationAuthReq", {
        clientId: ready.client_id,
        clientSecret: ready.client_secret,
    });
    await step("application");
    const accessToken = ready.access_token;
    const listed = await connection.sendCommand("ProtoOAGetAccountListByAccessTokenReq", { accessToken });
    await step("accounts", { accounts: listed.ctidTraderAccount.map((entry) => Number(entry.ctidTraderAccountId)) });
    await ask("ProtoOAAccountAuthReq", { accessToken });
    const { trader } = await ask("ProtoOATraderReq");
    await step("account", { balance: Number(trader.balance) / 10 ** trader.moneyDigits });
}

async function watch() {
    const listed = (await ask("ProtoOASymbolsListReq")).symbol;
    const full = (await ask("ProtoOASymbolByIdReq", { symbolId: listed.map((entry) => entry.symbolId) })).symbol;
    const digits = new Map(full.map((entry) => [entry.symbolId, entry.digits]));
    await step("symbols", {
        symbols: listed.map((entry) => [Number(entry.symbolId), entry.symbolName, digits.get(entry.symbolId)]),
    });
    connection.on("ProtoOASpotEvent", ({ descriptor }) => {
        for (const side of ["bid", "ask"]) {
            if (present(descriptor[side])) {
                spots[`${side}s`].push(Number(descriptor[side]));
            }
        }
        wake();
    });
    connection.on("ProtoOADepthEvent", ({ descriptor }) => {
        for (const id of descriptor.deletedQuotes) {
            book.delete(id);
        }
        for (const quote of descriptor.newQuotes) {
            const side = present(quote.bid) ? "bid" : "ask";
            book.set(quote.id, [Number(quote.id), side, Number(quote[side]), Number(quote.size)]);
        }
        wake();
    });
    for (const name of ["ProtoOAExecutionEvent", "ProtoOAOrderErrorEvent"]) {
        connection.on(name, ({ descriptor }) => {
            executions.push(descriptor);
            wake();
        });
    }
    await ask("ProtoOASubscribeSpotsReq", { symbolId: [symbol.id] });
    await until("spots", () => spots.bids.length > 1 && spots.asks.length > 1);
    await step("spots", spots);
    await ask("ProtoOASubscribeDepthQuotesReq", { symbolId: [symbol.id] });
    await until("depth", () => book.size >= 10);
    await step("depth", { quotes: [...book.values()] });
}

async function reconcile() {
    const held = await ask("ProtoOAReconcileReq");
    await step("reconcile", {
        positions: held.position.map((entry) => [Number(entry.positionId), Number(entry.tradeData.volume)]),
        orders: held.order.map((entry) => [Number(entry.orderId), Number(entry.tradeData.volume), entry.limitPrice]),
    });
}

function newOrder(orderType, fields) {
    return order("ProtoOANewOrderReq", {
        symbolId: symbol.id, orderType, tradeSide: "BUY", label: "node", ...fields,
    });
}

function seenOrder(event) {
    return {
        order_id: Number(event.order.orderId),
        volume_cents: Number(event.order.tradeData.volume),
        price: event.order.limitPrice,
    };
}

async function trade() {
    await newOrder("MARKET", { volume, clientOrderId: ownId });
    const filled = await execution("ORDER_FILLED", (body) => body.order.clientOrderId === ownId);
    const positionId = filled.position.positionId;
    await step("market_order", {
        order_id: Number(filled.order.orderId),
        position_id: Number(positionId),
        volume_cents: Number(filled.deal.filledVolume),
        price: filled.deal.executionPrice,
        client_order_id: filled.order.clientOrderId,
    });
    const rounded = (price) => Number(price.toFixed(5));
    const low = rounded(filled.deal.executionPrice * 0.9);
    const high = rounded(filled.deal.executionPrice * 1.1);
    let event = await newOrder("LIMIT", { volume, limitPrice: low });
    await step("limit_order", seenOrder(event));
    const orderId = event.order.orderId;
    event = await order("ProtoOAAmendOrderReq", {
        orderId, volume: volume + symbol.step_volume_cents, limitPrice: rounded(low + 0.01),
    });
    await step("amend_order", seenOrder(event));
    await reconcile();
    await order("ProtoOACancelOrderReq", { orderId });
    event = await execution("ORDER_CANCELLED", (body) => body.order.orderId === orderId);
    await step("cancel_order", { order_id: Number(event.order.orderId) });
    const { position } = await order("ProtoOAAmendPositionSLTPReq", { positionId, stopLoss: low, takeProfit: high });
    await step("amend_position", {
        position_id: Number(position.positionId), stop_loss: position.stopLoss, take_profit: position.takeProfit,
    });
    let text = "";
    try {
        await newOrder("MARKET", { volume: least + 1 });
    } catch (refusal) {
        text = refusal.message;
    }
    await step("refused_order", { text });
    for (const [name, cents] of [["partial_close", least], ["close", volume - least]]) {
        const since = executions.length;
        await order("ProtoOAClosePositionReq", { positionId, volume: cents });
        const { deal } = await execution("ORDER_FILLED", (body) => body.order.positionId === positionId, since);
        const detail = deal.closePositionDetail;
        await step(name, {
            position_id: Number(positionId),
            volume_cents: Number(detail.closedVolume),
            balance: Number(detail.balance) / 10 ** detail.moneyDigits,
        });
    }
    await reconcile();
}

const heartbeat = setInterval(() => connection.sendHeartbeat(), 10_000);
try {
    await logIn();
    await watch();
    await trade();
    await step("done");
} catch (refusal) {
    // The client rejects with the venue's error message itself, not with an Error.
    await step("error", { text: refusal.errorCode ? `${refusal.errorCode}: ${refusal.description}` : String(refusal) });
}
clearInterval(heartbeat);
connection.close();
input.return();
