"""Line protocols on asyncio: framers, SASL, the driver, the server."""
