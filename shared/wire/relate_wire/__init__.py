"""Line protocols on asyncio: framers, SASL, the connection driver, the server."""
