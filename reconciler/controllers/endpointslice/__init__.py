"""EndpointSlices of services with a selector: their pods' addresses, in parts of 100."""
