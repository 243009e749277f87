"""What has another name here than in django-health-check 3.x; nothing else needs this package."""
