// Gets one URL through a door of certproxy, with Node's own libraries.
//
// client.js DOOR PROXY URL CA
//
// DOOR is connect, absolute or forward; PROXY is http://, https:// or unix:; CA is what
// to trust. Prints the status and the body.
'use strict';

const fs = require('fs');
const http = require('http');
const https = require('https');
const tls = require('tls');

const [door, proxy, address, caFile] = process.argv.slice(2);
const ca = fs.readFileSync(caFile);
const where = new URL(proxy);
const target = new URL(address);

// The module to speak to the proxy with, and where it is.
const outer = where.protocol === 'https:' ? https : http;
const there = where.protocol === 'unix:'
  ? {socketPath: where.pathname}
  : {host: where.hostname, port: where.port, ca, servername: ''};

function print(response) {
  let body = '';
  response.setEncoding('utf8');
  response.on('data', (chunk) => { body += chunk; });
  response.on('end', () => process.stdout.write(`${response.statusCode} ${body}`));
}

function fail(err) {
  console.error(err.message);
  process.exitCode = 1;
}

if (door === 'connect') {
  outer.request({...there, method: 'CONNECT', path: target.host, headers: {Host: target.host}, agent: false})
    .on('connect', (response, socket) => {
      if (response.statusCode !== 200) {
        process.stdout.write(`${response.statusCode} ${response.statusMessage}`);
        socket.destroy();
        return;
      }
      const inner = tls.connect({socket, servername: target.hostname, ca}, () => {
        https.get(address, {createConnection: () => inner}, print).on('error', fail);
      });
      inner.on('error', fail);
    })
    .on('response', print)
    .on('error', fail)
    .end();
} else {
  const path = door === 'absolute' ? address : target.pathname;
  outer.get({...there, path, headers: {Host: target.host}, agent: false}, print).on('error', fail);
}
