/**
 * The places of services at backends, by the subject that evidence names them with.
 *
 * Owns: what health needs to know of each. Must never: hold what is observed.
 */
import { type Config, type Probe, redirectionsOf, type Service } from "../config/index.js";
import { serviceSubject } from "../health/index.js";

/** A service at a backend. */
export interface Place {
	readonly backend: string;
	/** For an operator: "dns udp/203.0.113.53/53". */
	readonly name: string;
	readonly service: string;
	readonly port: number;
	readonly protocol: "udp" | "tcp";
	readonly slowStartMs: number;
	/** The service's name. */
	readonly title: string;
	readonly probe: Probe | null;
	/** Clients' reports may take it out of service: the panic threshold bounds what a coalition of them can do. */
	readonly heedsReports: boolean;
}

/** By service subject. A configuration may have 100,000, so those of a service that has not changed are kept. */
export class Places implements Iterable<[string, Place]> {
	readonly #ofService: ReadonlyMap<string, ReadonlyMap<string, Place>>;

	constructor(services: Config["services"]) {
		this.#ofService = new Map(services.map((service) => [service.key, placesOf(service)]));
	}

	get(subject: string): Place | undefined {
		return this.#ofService.get(subject.split(" ")[1] ?? "")?.get(subject);
	}

	has(subject: string): boolean {
		return this.get(subject) !== undefined;
	}

	*[Symbol.iterator](): Iterator<[string, Place]> {
		for (const places of this.#ofService.values()) yield* places;
	}
}

const placesOfServices = new WeakMap<Service, ReadonlyMap<string, Place>>();

function placesOf(service: Service): ReadonlyMap<string, Place> {
	const known = placesOfServices.get(service);
	if (known !== undefined) return known;
	const { key, name, protocol, health } = service;
	const places = new Map<string, Place>();
	for (const { choices } of redirectionsOf(service))
		for (const { backend, port } of choices)
			places.set(serviceSubject(backend, key, port), {
				backend,
				name: `${name} ${key}`,
				service: key,
				port,
				protocol,
				slowStartMs: health.slowStartMs,
				title: name,
				probe: health.probe,
				heedsReports: health.fail === "open",
			});
	if (Object.isFrozen(service)) placesOfServices.set(service, places);
	return places;
}
