// echo.mjs - the TCP service of `npm run bench -- clients`: sends back what it receives. `node echo.mjs PORT`
//
// Must never: delay an answer (no Nagle).

import { createServer } from "node:net";

const server = createServer((socket) => {
	socket.setNoDelay(true);
	socket.on("error", () => socket.destroy());
	socket.pipe(socket);
});
server.listen(Number(process.argv[2]), "0.0.0.0", () => console.log("ready"));
