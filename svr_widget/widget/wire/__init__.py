"""How things travel to the page: container, scene, increments, survival tables, the front end."""
