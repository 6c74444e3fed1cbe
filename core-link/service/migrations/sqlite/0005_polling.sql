-- A poll finds its device's addresses in this index alone, however many devices there are.
CREATE INDEX device_addresses_polled ON device_addresses (device_id, location_id, position, host_offset);
