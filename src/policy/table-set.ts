// table-set.ts - the limits of a set of published tables; table-fields.ts has its types, which follow from
// native/datapath/table_fields.yaml.
//
// Addresses are 16-byte buffers (IPv4 in mapped form), ports are numbers in host order, prefix lengths are those of the
// mapped form. Must never: be changed once built. A change is a new set with epoch + 1.

export * from "./table-fields.js";

/** A load is 16 bits. */
export const FULL_LOAD = 65_535;
/** Services, targets and redirections are named by 16 bits. */
export const MAX_INDEX = 65_535;
