"""What a site that comes from django-health-check may rely on."""
