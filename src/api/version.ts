// The version, for answers and for the command line.

export { VERSION } from "../member/version.js";
