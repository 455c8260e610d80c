"""EndpointSlices of Endpoints that a person made, for those who read slices alone."""
