// experiment.ts - the experiment id that marks Shunt's option among the shared experimental options of TCP and UDP.

/** "SR"; RFC 6994 for TCP, RFC 9868 for UDP. Not registered. */
export const EXID = 0x5352;
